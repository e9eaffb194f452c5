"""How handlers find the server's state and answer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tinker_local.service.futures import JSON
from tinker_local.service.server_state import ServerState
from tinker_local.wire import answers


def state_of(request: Request) -> ServerState:
    """What the running server holds."""
    return request.app.state.server


def answer(body: answers.Answer) -> Response:
    """A JSON answer without the fields that are not set."""
    return Response(body.model_dump_json(exclude_none=True), media_type=JSON)


def problem(status: int, detail: str) -> JSONResponse:
    """One sentence with an HTTP status."""
    return JSONResponse({"detail": detail}, status_code=status)
