"""What a session holds is freed when it ends, whether its client said so or died."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service_in_process import Client, Clock, Service, computing
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.worker import Work, Worker
from tinker_local.errors import NotFoundError, RequestError
from tinker_local.service import futures as futures_module
from tinker_local.service.futures import (
    KEEP_RETRIEVED_SECONDS,
    KEEP_UNCLAIMED_SECONDS,
    Futures,
    Payload,
)
from tinker_local.service.sessions import SILENT_SECONDS, session_of
from tinker_local.wire import requests
from waiting import PATIENCE


def test_a_finished_session_frees_its_memory(tiny_model: Path, tmp_path: Path):
    """Run, sampler, adapters and results of a session are gone from memory when it has finished."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            taken = service.snapshot(run_id)
            await service.done(taken)
            model = service.state.runs.find(run_id).model
            sampler = service.state.samplers.find(f"{service.session}:sample:7")
            assert model is not None
            assert sampler.adapter is not None
            left = [weakref.ref(kept) for kept in (model.adapter.flat, sampler.adapter.flat, taken)]
            del model, sampler, taken
            service.state.end_session(service.session)
            await asyncio.sleep(0.05)
            gc.collect()
            assert [kept() for kept in left] == [None] * 3

    asyncio.run(scenario())


def test_a_silent_session_ends(tiny_model: Path, tmp_path: Path):
    """A session without a sign of life for the limit ends as if it had been finished."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            service.clock.now += SILENT_SECONDS - 1
            service.state.tidy()
            service.state.runs.find(run_id)
            service.clock.now += 2
            service.state.tidy()
            assert not service.state.sessions.is_alive(service.session)
            with pytest.raises(NotFoundError):
                service.state.runs.find(run_id)

    asyncio.run(scenario())


@pytest.mark.parametrize("sign", ["heartbeat", "request"])
def test_any_sign_of_life_keeps_a_session(tiny_model: Path, tmp_path: Path, sign: str):
    """Heartbeats and requests each keep a session alive."""

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            for _ in range(3):
                service.clock.now += SILENT_SECONDS - 1
                if sign == "heartbeat":
                    service.state.sessions.heard(service.session)
                else:
                    service.snapshot(run_id)
                service.state.tidy()
            assert service.state.sessions.is_alive(service.session)

    asyncio.run(scenario())


def test_work_of_an_ended_session_leaves_no_sampler(tiny_model: Path, tmp_path: Path):
    """A snapshot that was still queued when its session ended is not kept."""

    async def scenario() -> None:
        worker = Worker()
        service = Service(tiny_model, tmp_path, worker)
        created = service.state.runs.create(service.create_body())
        snapshot = service.snapshot(f"{service.session}:train:0")
        service.state.end_session(service.session)
        with computing(worker):
            for future in (created, snapshot):
                assert b"is over" in await service.done(future)
        with pytest.raises(NotFoundError):
            service.state.samplers.find(f"{service.session}:sample:7")

    asyncio.run(scenario())


def test_a_snapshot_in_the_making_is_not_kept_by_an_ended_session(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A snapshot whose session ends while it is taken leaves no sampler behind."""
    snapshot, begun, ended = Adapter.snapshot, threading.Event(), threading.Event()

    def slow(self: Adapter) -> Adapter:
        begun.set()
        assert ended.wait(PATIENCE)
        return snapshot(self)

    async def scenario() -> None:
        worker = Worker()
        with computing(worker):
            service = Service(tiny_model, tmp_path, worker)
            run_id = await service.train()
            monkeypatch.setattr(Adapter, "snapshot", slow)
            taken = service.snapshot(run_id)
            assert await asyncio.to_thread(begun.wait, 10)
            service.state.end_session(service.session)
            ended.set()
            assert b"is over" in await service.done(taken)
            assert service.state.samplers.of_session(service.session) == []

    asyncio.run(scenario())


class Watched(Worker):
    """Notes whose work it computed."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: list[str] = []

    def submit(self, work: Work) -> None:
        def run() -> Any:
            self.computed.append(session_of(work.lane))
            return work.run()

        super().submit(replace(work, run=run))


def test_an_ended_session_computes_nothing_more(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Samples, steps and held-back chunks that wait when a session ends are left out, and polls are told."""
    sampled: list[str] = []
    finish = Scheduler.finish

    def noting(scheduler: Scheduler, job: Job) -> None:
        sampled.append("one request")
        finish(scheduler, job)

    monkeypatch.setattr(Scheduler, "finish", noting)

    async def scenario() -> None:
        worker = Watched()
        service = Service(tiny_model, tmp_path, worker)
        samplers, sessions = service.state.samplers, [service.session]
        sessions.append(service.state.sessions.create(requests.CreateSession()))
        ended, alive = [samplers.add(session, 0, service.base, None, None).sampler_id for session in sessions]
        waiting = [service.state.runs.create(service.create_body())]
        client = Client(service, f"{service.session}:train:0")
        waiting += [client.chunk(1), client.step(2), client.chunk(4), client.step(5)]
        waiting += [await service.sample(ended, number) for number in range(200)]
        polls = [asyncio.create_task(service.done(future)) for future in waiting]
        await asyncio.sleep(0)
        service.state.end_session(service.session)
        with computing(worker):
            assert b"error" not in await service.done(await service.sample(alive, 0))
        assert all(b"is over" in told for told in await asyncio.gather(*polls))
        assert worker.computed == []
        assert sampled == ["one request"]

    asyncio.run(scenario())


def test_nothing_is_made_for_an_unknown_session(tiny_model: Path, tmp_path: Path):
    """Runs and samplers need a live session, since nothing would free them without one."""

    async def scenario() -> None:
        service = Service(tiny_model, tmp_path, Worker())
        service.state.end_session(service.session)
        with pytest.raises(RequestError, match="is over"):
            service.state.runs.create(service.create_body())
        with pytest.raises(RequestError, match="is over"):
            await service.state.samplers.create(
                requests.CreateSamplingSession(
                    session_id=service.session, sampling_session_seq_id=0, base_model=service.model
                )
            )

    asyncio.run(scenario())


def test_results_go_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch):
    """Fetched results go soon, unclaimed ones later, pending ones never, whatever stands before them."""
    clock = Clock()
    monkeypatch.setattr(futures_module, "time", clock)

    async def scenario() -> None:
        futures = Futures(asyncio.get_running_loop())
        pending, *done = [futures.create(f"s:train:0/{index}") for index in range(40)]
        for future in done:
            futures.complete(future, Payload(b"{}"))
        await asyncio.sleep(0)
        for future in done[20:]:
            await futures.wait(future, 1)
        left: list[int] = []
        for seconds in (KEEP_RETRIEVED_SECONDS - 1, 2, KEEP_UNCLAIMED_SECONDS):
            clock.now += seconds
            futures.forget_expired()
            left.append(sum(futures.find(future.request_id) is not None for future in (pending, *done)))
        assert left == [40, 21, 1]

    asyncio.run(scenario())
