"""The REST routes: what there is, and housekeeping of checkpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tinker_local.errors import RequestError
from tinker_local.server.answering import answer, problem, state_of
from tinker_local.service.catalogue import page
from tinker_local.service.checkpoints import CheckpointPath, parse_path
from tinker_local.service.training_runs import expiry
from tinker_local.wire import answers, requests

CHECKPOINT = "/api/v1/training_runs/{run_id}/checkpoints/{kind}/{name}"
LARGEST_PAGE = 1000


def rest_routes() -> list[Route]:
    """All routes of this module."""
    return [
        Route("/api/v1/training_runs", _training_runs),
        Route("/api/v1/training_runs/{run_id}", _training_run),
        Route("/api/v1/training_runs/{run_id}/checkpoints", _checkpoints_of_run),
        Route("/api/v1/checkpoints", _checkpoints),
        Route(CHECKPOINT, _delete_checkpoint, methods=["DELETE"]),
        Route(f"{CHECKPOINT}/ttl", _set_expiry, methods=["PUT"]),
        Route(f"{CHECKPOINT}/publish", refusal(PUBLISHING), methods=["POST", "DELETE"]),
        Route("/api/v1/weights_info", _weights_info, methods=["POST"]),
        Route("/api/v1/sessions", _sessions),
        Route("/api/v1/sessions/{session_id}", _session),
        *(Route(path, refusal(why), methods=["GET", "POST", "PUT"]) for path, why in NOT_OFFERED.items()),
    ]


PUBLISHING = "Checkpoints of this server stay on this machine, so there is nothing to publish."
ACCOUNTS = "This server has no accounts, projects or bills."
NOT_OFFERED = {
    "/api/v1/copy_weights": "This server has one owner, so copy a checkpoint's folder instead.",
    "/api/v1/sessions/search": "Searching sessions is not offered; list them instead.",
    "/api/v1/sessions/{session_id}/trace_export": "This server records no traces of what people send it.",
    "/api/v1/sessions/{session_id}/project": ACCOUNTS,
    "/api/v1/audit": ACCOUNTS,
    "/api/v1/billing/usage/events": ACCOUNTS,
    "/api/v1/billing/usage/checkpoints/current": ACCOUNTS,
    "/api/v1/auth/token": "This server takes the API key itself and issues no tokens.",
}


def refusal(sentence: str) -> Callable[[Request], Awaitable[Response]]:
    """A handler for what makes no sense on one machine. The SDK does not retry this status."""

    async def refuse(_request: Request) -> Response:
        return problem(400, sentence)

    return refuse


async def _training_runs(request: Request) -> Response:
    entries, cursor = page(state_of(request).catalogue.training_runs(), *_page_of(request))
    return answer(answers.TrainingRuns(training_runs=entries, cursor=cursor))


async def _training_run(request: Request) -> Response:
    return answer(state_of(request).catalogue.training_run(request.path_params["run_id"]))


async def _checkpoints_of_run(request: Request) -> Response:
    found = state_of(request).catalogue.checkpoints_of(request.path_params["run_id"])
    return answer(answers.Checkpoints(checkpoints=found))


async def _checkpoints(request: Request) -> Response:
    entries, cursor = page(state_of(request).catalogue.checkpoints(), *_page_of(request))
    return answer(answers.Checkpoints(checkpoints=entries, cursor=cursor))


async def _delete_checkpoint(request: Request) -> Response:
    state_of(request).store.delete(path_of(request))
    return Response(status_code=204)


async def _set_expiry(request: Request) -> Response:
    wanted = requests.parse_json(requests.TimeToLive, await request.body())
    state_of(request).store.set_expiry(path_of(request), expiry(wanted.ttl_seconds))
    return Response(status_code=204)


async def _weights_info(request: Request) -> Response:
    wanted = requests.parse_json(requests.WeightsInfo, await request.body())
    return answer(state_of(request).catalogue.weights_info(wanted.tinker_path))


async def _sessions(request: Request) -> Response:
    entries, _ = page(state_of(request).sessions.all(), *_page_of(request))
    return answer(answers.Sessions(sessions=entries))


async def _session(request: Request) -> Response:
    return answer(state_of(request).session(request.path_params["session_id"]))


def path_of(request: Request) -> CheckpointPath:
    """The checkpoint that a route names."""
    # Put together and parsed again, so that a route is held to the same rules as a tinker:// path.
    parts: dict[str, Any] = request.path_params
    return parse_path(f"tinker://{parts['run_id']}/{parts['kind']}/{parts['name']}")


def _page_of(request: Request) -> tuple[int, int]:
    """(offset, limit) of a listing's query."""
    try:
        offset = int(request.query_params.get("offset", 0))
        limit = int(request.query_params.get("limit", 20))
    except ValueError as error:
        raise RequestError("offset and limit are whole numbers; send such.") from error
    if offset < 0 or not 1 <= limit <= LARGEST_PAGE:
        raise RequestError(f"offset begins at 0 and limit is from 1 to {LARGEST_PAGE}; send such.")
    return offset, limit
