"""What requests do to runs and samplers when they are repeated, queued behind others, or take long."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from service_in_process import Client, Service, computing
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.train.trainer import TrainingModel
from tinker_local.engine.worker import Worker
from tinker_local.service import ordering
from tinker_local.service.checkpoints import CheckpointStore
from tinker_local.wire import requests
from waiting import PATIENCE


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
        assert read.wait(PATIENCE)
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


def test_a_cancelled_chunk_that_has_not_begun_is_not_computed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without its gradient, queued or held back, the run trains on as if that chunk had never been sent."""
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 2 * PATIENCE)

    async def scenario() -> None:
        worker = Worker()
        service = Service(tiny_model, tmp_path, worker)
        for number in range(2):
            service.state.runs.create(service.create_body(number))
        cancelled, plain = [Client(service, f"{service.session}:train:{number}") for number in range(2)]
        queued, held = cancelled.chunk(1), cancelled.chunk(3)
        for future in (queued, held):
            service.state.futures.cancel(future.request_id)
        rest = [cancelled.chunk(2), cancelled.step(4)]
        expected = [plain.refused(1), plain.chunk(2), plain.step(3)]
        with computing(worker):
            async with asyncio.timeout(PATIENCE):
                for future in (*rest, *expected):
                    await service.done(future)
        for future in (queued, held):
            assert "was cancelled" in await cancelled.error(future)
        assert torch.equal(cancelled.weights, plain.weights)

    asyncio.run(scenario())


def test_a_chunk_that_has_begun_is_past_cancelling(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What is cancelled while it computes tells its result, since its gradient counts."""
    compute, begun, cancelled = TrainingModel.forward_backward, threading.Event(), threading.Event()

    def slow(self: TrainingModel, *arguments: Any) -> Any:
        begun.set()
        assert cancelled.wait(PATIENCE)
        return compute(self, *arguments)

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            client = Client(service, await service.train())
            monkeypatch.setattr(TrainingModel, "forward_backward", slow)
            chunk = client.chunk(1)
            assert await asyncio.to_thread(begun.wait, 10)
            service.state.futures.cancel(chunk.request_id)
            cancelled.set()
            assert b"cancelled" not in await service.done(chunk)
            spent = json.loads(await service.done(client.step(2)))
            assert spent["metrics"]["grad_norm:mean"] > 0

    asyncio.run(scenario())


def test_snapshots_without_a_number_are_each_of_their_moment(tiny_model: Path, tmp_path: Path):
    """Snapshots for which no number is asked have the weights of their own moment, and numbers stay free."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            samplers = service.state.samplers
            await samplers.create(a_base_sampler(service, 0))
            client = Client(service, await service.train())
            taken: list[str] = []
            for number in (1, 4):
                body = requests.SaveWeightsForSampler(model_id=client.run_id, seq_id=number)
                saved = await service.done(service.state.runs.save_weights_for_sampler(body))
                taken.append(json.loads(saved)["sampling_session_id"])
                kept = samplers.find(taken[-1]).adapter
                assert kept is not None
                assert torch.equal(kept.flat, client.weights)
                client.chunk(number + 1)
                await service.done(client.step(number + 2))
            assert len({*taken, f"{service.session}:sample:0"}) == 3
            assert samplers.find(f"{service.session}:sample:0").adapter is None

    asyncio.run(scenario())


def test_a_number_with_other_weights_is_refused(tiny_model: Path, tmp_path: Path):
    """A sampler's number is refused for other weights; asked again for the same ones, it is there."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            samplers = service.state.samplers
            again = [await samplers.create(a_base_sampler(service, 7)) for _ in range(2)]
            assert again[0] == again[1]
            run_id = await service.train()
            assert b"other weights" in await service.done(service.snapshot(run_id))

    asyncio.run(scenario())


def a_base_sampler(service: Service, number: int) -> requests.CreateSamplingSession:
    return requests.CreateSamplingSession(
        session_id=service.session, sampling_session_seq_id=number, base_model=service.model
    )


def test_a_sampler_is_made_ready_before_it_is_asked(tiny_model: Path, tmp_path: Path):
    """The first request does not wait for what can be done as soon as the sampler is created."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            wanted = requests.CreateSamplingSession(
                session_id=service.session, sampling_session_seq_id=7, base_model=service.model
            )
            await service.state.samplers.create(wanted)
            async with asyncio.timeout(PATIENCE):
                while not service.state.samplers._networks.num_copies:
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())
