"""How handlers find the server's state and answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tinker_local.errors import BusyError, NotFoundError, RequestError
from tinker_local.server.bodies import TOO_LARGE, TooLargeError
from tinker_local.service.futures import JSON
from tinker_local.service.server_state import ServerState
from tinker_local.wire import answers

Waited = TypeVar("Waited")

LOOK_SECONDS = 1.0
"""How often it is looked whether a client that waits for an answer is still there."""


async def waited_for(request: Request, waiting: asyncio.Future[Waited]) -> Waited:
    """The result; raises ClientDisconnect where nobody waits for it any more, and what it failed with."""
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=LOOK_SECONDS)
        if not waiting.done() and await request.is_disconnected():
            raise ClientDisconnect
    return waiting.result()


def state_of(request: Request) -> ServerState:
    """What the running server holds."""
    return request.app.state.server


def answer(body: answers.Answer) -> Response:
    """A JSON answer without the fields that are not set."""
    return Response(body.model_dump_json(exclude_none=True), media_type=JSON)


def problem(status: int, detail: str) -> JSONResponse:
    """One sentence with an HTTP status."""
    return JSONResponse({"detail": detail}, status_code=status)


def error_handlers(
    say: Callable[[int, str], Response],
) -> dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]:
    """What an application answers for our own errors; `say` gives a sentence its shape."""

    async def refuse(_request: Request, error: Exception) -> Response:
        return say(404 if isinstance(error, NotFoundError) else 400, str(error))

    async def busy(_request: Request, error: Exception) -> Response:
        # The SDK understands this status as backpressure: it waits and sends the request again.
        return say(429, str(error))

    async def too_large(_request: Request, _error: Exception) -> Response:
        return say(413, TOO_LARGE)

    return {RequestError: refuse, BusyError: busy, TooLargeError: too_large}
