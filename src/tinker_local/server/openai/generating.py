"""Requests while they are generated, for handlers that wait for all of it or follow it token by token."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from tinker_local.domain.generation import GenerationRequest, GenerationResult, SampledSequence
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.service.samplers import Samplers
from tinker_local.wire import requests


@dataclass(frozen=True)
class NewTokens:
    """What a sequence has sampled since it was told of last."""

    number: int
    sequence: SampledSequence


@dataclass(eq=False)
class RunningGeneration:
    """One request to the engine. Its events come from the thread that computes, in order."""

    loop: asyncio.AbstractEventLoop
    wanted: bool = True
    events: asyncio.Queue[NewTokens | GenerationResult | Exception] = field(
        default_factory=lambda: asyncio.Queue[NewTokens | GenerationResult | Exception]()
    )

    @classmethod
    async def begin(cls, samplers: Samplers, request: requests.Sample, follow: bool) -> RunningGeneration:
        """Queue a request; raises RequestError where it cannot be done and BusyError where too much waits."""
        made = cls(asyncio.get_running_loop())

        def job(weights: SamplingWeights, generation: GenerationRequest, num_bytes: int) -> Job:
            def progress(number: int, sequence: SampledSequence) -> None:
                made.put(NewTokens(number, sequence))

            return Job(
                weights,
                generation,
                finish=made.put,
                fail=made.put,
                is_wanted=lambda: made.wanted,
                num_bytes=num_bytes,
                progress=progress if follow else None,
            )

        await samplers.queue(request, job)
        return made

    def put(self, event: NewTokens | GenerationResult | Exception) -> None:
        """Add an event from any thread; without effect once the loop is closed."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)

    async def next(self) -> NewTokens | GenerationResult:
        """The next event; raises what the request failed with."""
        event = await self.events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def result(self) -> GenerationResult:
        """All of it, once it is done; raises what the request failed with."""
        while True:
            event = await self.next()
            if isinstance(event, GenerationResult):
                return event

    def cancel(self) -> None:
        """Let the engine drop it before its next step."""
        self.wanted = False
