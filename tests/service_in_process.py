"""A server's state and worker inside the test's own process, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tinker_local.engine.worker import Worker
from tinker_local.loading import load_base_model
from tinker_local.service.futures import Future
from tinker_local.service.server_state import ServerState
from tinker_local.wire import requests


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    # Stands in for the module `time` where that is what is used.
    monotonic = __call__


@contextmanager
def computing(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(5)


class Service:
    """A server's state without HTTP, with one session that has a run and a snapshot sampler."""

    def __init__(self, model: Path, home: Path, worker: Worker) -> None:
        self.model = str(model)
        self.clock = Clock()
        base = load_base_model(str(model), "float32", torch.device("cpu"))
        self.state = ServerState({self.model: base}, home, worker, asyncio.get_running_loop(), self.clock)
        self.session = self.state.create_session(requests.CreateSession()).session_id

    async def done(self, future: Future) -> bytes:
        payload = await self.state.futures.wait(future, 30)
        assert payload is not None
        return payload.body

    def create_body(self, number: int = 0) -> requests.CreateModel:
        lora = requests.LoraSettings(rank=4, seed=1)
        return requests.CreateModel(
            session_id=self.session, model_seq_id=number, base_model=self.model, lora_config=lora
        )

    async def train(self, number: int = 0) -> str:
        """The id of a new run; all begin with the same weights."""
        await self.done(self.state.runs.create(self.create_body(number)))
        return f"{self.session}:train:{number}"

    def snapshot(self, run_id: str) -> Future:
        body = requests.SaveWeightsForSampler(model_id=run_id, seq_id=1, sampling_session_seq_id=7)
        return self.state.runs.save_weights_for_sampler(body)
