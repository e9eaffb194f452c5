"""A server's state and worker inside the test's own process, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch

from raw_client import add_datum, tokens_of_step
from tinker_local.engine.worker import Worker
from tinker_local.errors import RequestError
from tinker_local.loading import load_base_model
from tinker_local.service.futures import Future
from tinker_local.service.server_state import ServerState
from tinker_local.wire import requests
from tinker_local.wire import tinker_public_pb2 as proto
from waiting import PATIENCE

CHUNKS = 4
"""How many forward_backward requests a Client sends before each step."""


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What time it is: what the test has set."""
        return self.now

    # Stands in for the module `time` where that is what is used.
    monotonic = __call__


@contextmanager
def computing(worker: Worker) -> Generator[None, None, None]:
    """The worker in a thread of its own, while the block lasts."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(PATIENCE)


class Service:
    """A server's state without HTTP, with one session that has a run and a snapshot sampler."""

    def __init__(self, model: Path, home: Path, worker: Worker) -> None:
        self.model = str(model)
        self.clock = Clock()
        base = load_base_model(str(model), "float32", torch.device("cpu"))
        self.base = base
        self.state = ServerState({self.model: base}, home, worker, asyncio.get_running_loop(), self.clock)
        self.session = self.state.sessions.create(requests.CreateSession())

    async def done(self, future: Future) -> bytes:
        """The answer's body, once it is there."""
        payload = await self.state.futures.wait(future, PATIENCE)
        assert payload is not None
        return payload.body

    def create_body(self, number: int = 0) -> requests.CreateModel:
        """A request for an adapter, as the session's run of this number."""
        lora = requests.LoraSettings(rank=4, seed=1)
        return requests.CreateModel(
            session_id=self.session, model_seq_id=number, base_model=self.model, lora_config=lora
        )

    async def train(self, number: int = 0) -> str:
        """The id of a new run; all begin with the same weights."""
        await self.done(self.state.runs.create(self.create_body(number)))
        return f"{self.session}:train:{number}"

    async def sample(self, sampler_id: str, number: int) -> Future:
        """The promise of 5 tokens behind 3."""
        wanted = {
            "prompt": {"chunks": [{"type": "encoded_text", "tokens": [0, 5, 7]}]},
            "sampling_params": {"max_tokens": 5, "seed": 1},
            "sampling_session_id": sampler_id,
            "seq_id": number,
        }
        future, _ = await self.state.samplers.sample(requests.Sample.model_validate(wanted))
        return future

    def snapshot(self, run_id: str) -> Future:
        """Save the weights to sample from them at once, without a name."""
        body = requests.SaveWeightsForSampler(model_id=run_id, seq_id=1, sampling_session_seq_id=7)
        return self.state.runs.save_weights_for_sampler(body)


class Client:
    """Sends one run's requests under whatever numbers a test likes."""

    def __init__(self, service: Service, run_id: str) -> None:
        self._service = service
        self._runs = service.state.runs
        self.run_id = run_id

    def chunk(self, number: int) -> Future:
        """A call of forward_backward, with datums of its own by its number in the run."""
        message = proto.ForwardBackwardRequest(model_id=self.run_id, seq_id=number, loss_fn="cross_entropy")
        for step in range(3):
            add_datum(message, tokens_of_step(3 * number + step))
        return self._runs.forward_backward(message)

    def step(self, number: int) -> Future:
        """A step of the optimizer, by its number in the run."""
        adam = requests.AdamParams(learning_rate=0.01, eps=1e-8)
        return self._runs.optim_step(
            requests.OptimStep(model_id=self.run_id, seq_id=number, adam_params=adam)
        )

    def refused(self, number: int) -> Future:
        """A request that cannot be carried out, and takes its number all the same."""
        wrong = {"model_id": self.run_id, "seq_id": number}
        return self._service.state.refused(json.dumps(wrong).encode(), RequestError("It is wrong."))

    def send(self, number: int) -> Future:
        """Batches of CHUNKS chunks, each followed by a step."""
        return self.chunk(number) if number % (CHUNKS + 1) else self.step(number)

    async def error(self, future: Future) -> str:
        """What an answer says went wrong."""
        return json.loads(await self._service.done(future))["error"]

    @property
    def weights(self) -> torch.Tensor:
        """A copy of the adapter as it is now."""
        return self._runs.find(self.run_id).trained().adapter.flat.clone()
