"""Named tokens behind many prompts, answered when all are scored; nothing of it is kept to be fetched."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tinker_local.server.answering import answer, state_of
from tinker_local.server.bodies import read_body
from tinker_local.service.path_scoring import PathScoring
from tinker_local.wire.path_scores import ScorePaths
from tinker_local.wire.requests import parse_json

LOOK_SECONDS = 1.0
"""How often it is looked whether the client that waits is still there."""


async def score_paths(request: Request) -> Response:
    """Score, and drop what is left of it once nobody waits for the answer."""
    scoring = PathScoring.begin(state_of(request).samplers, parse_json(ScorePaths, await read_body(request)))
    try:
        while not scoring.done.done():
            await asyncio.wait({scoring.done}, timeout=LOOK_SECONDS)
            if not scoring.done.done() and await request.is_disconnected():
                raise ClientDisconnect
        scoring.done.result()
        return answer(scoring.scores())
    finally:
        scoring.cancel()
