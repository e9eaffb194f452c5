"""What requests do to runs and samplers when they are repeated, queued behind others, or take long."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from service_in_process import Service, computing
from tinker_local.engine.lora import Adapter
from tinker_local.engine.training import TrainingModel
from tinker_local.engine.worker import Worker
from tinker_local.service.checkpoints import CheckpointStore
from tinker_local.wire import requests


def test_a_late_repeated_creation_keeps_what_was_trained(tiny_model: Path, tmp_path: Path):
    """A creation repeated after its result was forgotten finds the run as training has left it."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            model = service.state.runs.find(run_id).model
            service.state.futures.end_session(service.session)
            await service.done(service.state.runs.create(service.create_body()))
            assert service.state.runs.find(run_id).model is model
            saved = service.state.runs.save_weights(
                requests.SaveWeights(model_id=run_id, seq_id=1, path="state")
            )
            await service.done(saved)
            load = requests.LoadWeights(
                path=f"tinker://{run_id}/weights/state",
                optimizer=True,
                session_id=service.session,
                model_seq_id=1,
            )
            await service.done(service.state.runs.load_weights(load))
            resumed = service.state.runs.find(f"{service.session}:train:1").model
            assert resumed is not None
            adapter = resumed.adapter
            service.state.futures.end_session(service.session)
            await service.done(service.state.runs.load_weights(load))
            assert resumed.adapter is adapter

    asyncio.run(scenario())


def test_a_run_from_a_checkpoint_allocates_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A run that begins from a checkpoint makes one set of gradients and trains the loaded buffer itself."""
    made: list[Adapter] = []
    load_adapter = TrainingModel.load

    def counted(self: TrainingModel, adapter: Adapter, *state: Any) -> None:
        made.append(adapter)
        load_adapter(self, adapter, *state)

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            body = requests.SaveWeights(model_id=run_id, seq_id=1, path="state")
            await service.done(service.state.runs.save_weights(body))
            monkeypatch.setattr(TrainingModel, "load", counted)
            load = requests.LoadWeights(
                path=f"tinker://{run_id}/weights/state",
                optimizer=True,
                session_id=service.session,
                model_seq_id=1,
            )
            await service.done(service.state.runs.load_weights(load))
            resumed = service.state.runs.find(f"{service.session}:train:1").trained()
            assert [adapter is resumed.adapter for adapter in made] == [True]

    asyncio.run(scenario())


def test_a_load_waits_for_the_save_before_it(tiny_model: Path, tmp_path: Path):
    """A state may be loaded by the name under which a request before it, not done yet, saves it."""

    async def scenario() -> None:
        worker = Worker()
        service = Service(tiny_model, tmp_path, worker)
        created = service.state.runs.create(service.create_body())
        run_id = f"{service.session}:train:0"
        save = requests.SaveWeights(model_id=run_id, seq_id=1, path="state")
        load = requests.LoadWeights(
            path=f"tinker://{run_id}/weights/state", optimizer=True, model_id=run_id, seq_id=2
        )
        waiting = [
            created,
            service.state.runs.save_weights(save),
            service.state.runs.load_weights(load),
        ]
        with computing(worker):
            answers = [await service.done(future) for future in waiting]
        assert not any(b"error" in answer for answer in answers)

    asyncio.run(scenario())


def test_loading_a_sampler_leaves_the_server_responsive(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """While a checkpoint is read for a sampler, other requests are answered."""
    load, read = CheckpointStore.load, threading.Event()

    def slow(self: CheckpointStore, *arguments: Any) -> Any:
        assert read.wait(10)
        return load(self, *arguments)

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            body = requests.SaveWeightsForSampler(model_id=run_id, seq_id=1, path="x")
            await service.done(service.state.runs.save_weights_for_sampler(body))
            monkeypatch.setattr(CheckpointStore, "load", slow)
            wanted = requests.CreateSamplingSession(
                session_id=service.session,
                sampling_session_seq_id=0,
                model_path=f"tinker://{run_id}/sampler_weights/x",
            )
            creating = asyncio.create_task(service.state.samplers.create(wanted))
            await asyncio.sleep(0.05)
            assert not creating.done()
            assert service.state.runs.info(run_id).lora_rank == 4
            read.set()
            assert (await creating).sampling_session_id == f"{service.session}:sample:0"

    asyncio.run(scenario())
