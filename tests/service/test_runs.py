"""Requests that are repeated do no harm to a run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from service_in_process import Service, computing
from tinker_local.engine.worker import Worker
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
