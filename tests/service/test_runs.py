"""Requests that are repeated or missing do no harm to a run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service_in_process import Service, computing
from tinker_local.engine.worker import Worker
from tinker_local.errors import RequestError
from tinker_local.service.training import MAX_OUT_OF_ORDER, Run
from tinker_local.wire import requests


@pytest.fixture
def run() -> Run:
    return Run("s:train:0", "s", None, None)


def test_numbers_are_taken_once_in_any_order(run: Run):
    """Each number is accepted once, however the chunks of a batch overtake each other."""
    for number in (2, 3, 1, 5, 4):
        run.receive(number)
    for number in range(1, 6):
        with pytest.raises(RequestError, match="not done twice"):
            run.receive(number)


def test_a_number_that_never_comes_costs_no_memory(run: Run):
    """A gap in the numbers, as a refused request leaves it, does not keep all later ones in memory."""
    for number in range(2, 5 * MAX_OUT_OF_ORDER):
        run.receive(number)
    assert len(run.received_beyond) <= MAX_OUT_OF_ORDER
    with pytest.raises(RequestError, match="not done twice"):
        run.receive(5 * MAX_OUT_OF_ORDER - 1)


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
