"""Named tokens behind many prompts: one request becomes many scorings, and is answered when all are done.

Nothing of it is kept to be fetched, so a client that leaves has its scorings dropped.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.server.answering import answer, state_of, waited_for
from tinker_local.server.bodies import read_body
from tinker_local.service.generations import scorings_of
from tinker_local.service.samplers import Samplers
from tinker_local.wire.path_scores import PathScores, ScorePaths, scores_in_order
from tinker_local.wire.requests import parse_json


async def score_paths(request: Request) -> Response:
    """Score, and drop what is left of it once nobody waits for the answer."""
    scoring = PathScoring.begin(state_of(request).samplers, parse_json(ScorePaths, await read_body(request)))
    try:
        await waited_for(request, scoring.done)
        return answer(scoring.scores())
    finally:
        scoring.cancel()


class PathScoring:
    """The scorings of one request. Their results come from the thread that computes, in any order."""

    def __init__(self, wanted: ScorePaths) -> None:
        self._wanted = wanted
        self._found: list[GenerationResult | None] = [None] * (len(wanted.prompts) * len(wanted.paths))
        self._left = len(self._found)
        self._is_wanted = True
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        """Set once all have ended, or one has failed."""

    @classmethod
    def begin(cls, samplers: Samplers, wanted: ScorePaths) -> PathScoring:
        """Queue them all; raises RequestError where one cannot be done and BusyError where too much waits."""
        scoring = cls(wanted)
        samplers.queue_all(wanted.sampling_session_id, lambda base: scorings_of(wanted, base), scoring._job)
        return scoring

    def scores(self) -> PathScores:
        """All that was found, once `done` is."""
        each = [result.prompt.named for result in self._found if result is not None]
        found = [named for named in each if named is not None]
        count = len(self._wanted.paths)
        return PathScores(
            logprobs=[
                scores_in_order(self._wanted.paths, found[first : first + count])
                for first in range(0, len(found), count)
            ]
        )

    def cancel(self) -> None:
        """Let the engine drop what it has not computed yet."""
        self._is_wanted = False
        self.done.cancel()

    def _job(self, number: int, weights: SamplingWeights, scoring: GenerationRequest, num_bytes: int) -> Job:
        def finish(result: GenerationResult) -> None:
            self._found[number] = result
            self._left -= 1
            if not self._left:
                self._end(None)

        return Job(
            weights,
            scoring,
            finish,
            fail=self._end,
            is_wanted=lambda: self._is_wanted,
            num_bytes=num_bytes,
        )

    def _end(self, error: Exception | None) -> None:
        def end() -> None:
            if not self.done.done():
                if error is None:
                    self.done.set_result(None)
                else:
                    self.done.set_exception(error)

        self._is_wanted = error is None
        # The loop may be closed by now.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(end)
