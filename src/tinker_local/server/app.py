"""The routes of the Tinker API, as a Starlette application.

A user's mistake in a request that promises a result becomes a failed future, never an HTTP error: the
SDK retries most error statuses for minutes.

A request comes here past `server.guard`, is parsed by `wire` and goes to `service.training_runs` or
`service.samplers`, which promise a future; its result is fetched by retrieve_future.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from tinker_local import __version__
from tinker_local.errors import RequestError
from tinker_local.server.answering import answer, error_handlers, problem, state_of
from tinker_local.server.bodies import read_body
from tinker_local.server.downloads import Links, download_routes
from tinker_local.server.guard import HEALTH, Access, Guard
from tinker_local.server.openai import openai_app
from tinker_local.server.rest import rest_routes
from tinker_local.server.scoring import score_paths
from tinker_local.service.futures import Future
from tinker_local.service.server_state import ServerState
from tinker_local.service.sessions import session_of
from tinker_local.service.training_runs import Runs
from tinker_local.wire import answers, requests
from tinker_local.wire.custom_loss import parse_custom_loss
from tinker_local.wire.forward_backward import parse_forward_backward

POLL_SECONDS = 30.0
"""A poll is answered with "try again" after this long; the SDK itself gives up at 45 seconds."""

Body = TypeVar("Body")
JsonBody = TypeVar("JsonBody", bound=requests.WireModel)
Handler = Callable[[Request], Awaitable[Response]]


def create_app(state: ServerState, access: Access) -> ASGIApp:
    """The application, behind the checks of who may ask."""
    app = Starlette(
        routes=[
            # Every other flag of the client's configuration has a default that suits this server.
            _post("client/config", _always({"custom_loss_server_side": True})),
            _post("client/dynamic_config", _always({"sample_cancel_enabled": True})),
            # Answered so that the SDK is content, and never read or kept: it may hold people's words.
            _post("telemetry", _always({"status": "accepted"})),
            _post(
                "create_session",
                _answering(
                    requests.CreateSession,
                    lambda state, body: answers.SessionCreated(session_id=state.sessions.create(body)),
                ),
            ),
            _post("session_heartbeat", _session_heartbeat),
            _post("sessions/{session_id}/finish", _finish_session),
            _post("create_model", _promising(_json(requests.CreateModel), Runs.create)),
            _post(
                "get_info", _answering(requests.GetInfo, lambda state, body: state.runs.info(body.model_id))
            ),
            _post("forward_backward", _promising(parse_forward_backward, Runs.forward_backward)),
            _post("optim_step", _promising(_json(requests.OptimStep), Runs.optim_step)),
            _post("save_weights", _promising(_json(requests.SaveWeights), Runs.save_weights)),
            _post(
                "save_weights_for_sampler",
                _promising(_json(requests.SaveWeightsForSampler), Runs.save_weights_for_sampler),
            ),
            _post(
                "save_weights_external",
                _promising(_json(requests.SaveWeightsExternal), Runs.save_weights_external),
            ),
            _post("create_custom_loss", _create_custom_loss),
            _post("load_weights", _promising(_json(requests.LoadWeights), Runs.load_weights)),
            _post("create_sampling_session", _create_sampling_session),
            _post("asample", _sample),
            _post("score_paths", score_paths),
            _post("retrieve_future", _retrieve_future),
            _post("retrieve_futures", _retrieve_futures),
            _post("cancel_future", _cancel_future),
            _post(
                "join_sampling_session",
                _answering(
                    requests.JoinSamplingSession,
                    lambda state, body: state.samplers.join(body.sampling_session_id),
                ),
            ),
            # The SDK reads the status alone; by the rest one server, and one version, is told from another.
            Route(HEALTH, _always({"status": "ok", "server": "tinker_local", "version": __version__})),
            Route("/api/v1/get_server_capabilities", _capabilities),
            Route("/api/v1/samplers/{sampler_id}", _sampler),
            *rest_routes(),
            *download_routes(),
            Mount("/v1", openai_app(state)),
        ],
        exception_handlers={**error_handlers(problem), HTTPException: _http_error},
    )
    app.state.server = state
    app.state.links = Links.new()
    return Guard(app, access)


def _post(path: str, handler: Handler) -> Route:
    return Route(f"/api/v1/{path}", handler, methods=["POST"])


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem(
        status, f"{request.method} {request.url.path} is not offered by tinker_local {__version__}."
    )


def _promise(future: Future, sequence_ids: list[str] | None = None) -> Response:
    return answer(answers.Promise(request_id=future.request_id, sample_sequence_ids=sequence_ids))


def _json(kind: type[JsonBody]) -> Callable[[bytes], JsonBody]:
    return lambda body: requests.parse_json(kind, body)


def _promising(parse: Callable[[bytes], Body], submit: Callable[[Runs, Body], Future]) -> Handler:
    """Submits a body to the training runs; a mistake in it is told through the future."""

    async def handle(request: Request) -> Response:
        state, body = state_of(request), b""
        try:
            body = await read_body(request)
            future = submit(state.runs, parse(body))
        except RequestError as error:
            future = state.refused(body, error)
        return _promise(future)

    return handle


def _answering(kind: type[JsonBody], answer_to: Callable[[ServerState, JsonBody], answers.Answer]) -> Handler:
    """Answers a body at once; a mistake in it is an HTTP error."""

    async def handle(request: Request) -> Response:
        wanted = requests.parse_json(kind, await request.body())
        return answer(answer_to(state_of(request), wanted))

    return handle


def _always(content: Mapping[str, Any]) -> Handler:
    async def handle(request: Request) -> Response:
        return JSONResponse(content)

    return handle


async def _capabilities(request: Request) -> Response:
    return answer(state_of(request).capabilities())


async def _session_heartbeat(request: Request) -> Response:
    beat = requests.parse_json(requests.SessionHeartbeat, await request.body())
    sessions = state_of(request).sessions
    sessions.heard(beat.session_id)
    if not sessions.is_alive(beat.session_id):
        return problem(410, "This session is over; create a new ServiceClient.")
    return JSONResponse({"type": "session_heartbeat"})


async def _finish_session(request: Request) -> Response:
    state_of(request).end_session(request.path_params["session_id"])
    return JSONResponse({})


async def _create_custom_loss(request: Request) -> Response:
    state = state_of(request)
    try:
        future = state.custom_losses.create(parse_custom_loss(await read_body(request)))
    except RequestError as error:
        future = state.failed(error)
    return _promise(future)


async def _create_sampling_session(request: Request) -> Response:
    wanted = requests.parse_json(requests.CreateSamplingSession, await request.body())
    return answer(await state_of(request).samplers.create(wanted))


async def _sampler(request: Request) -> Response:
    return answer(state_of(request).samplers.info(request.path_params["sampler_id"]))


async def _sample(request: Request) -> Response:
    state = state_of(request)
    body = await request.body()
    sequence_ids: list[str] = []
    try:
        wanted = requests.parse_json(requests.Sample, body)
        future, sequence_ids = await state.samplers.sample(wanted)
    except RequestError as error:
        future = state.refused_sample(body, error)
    return _promise(future, sequence_ids=sequence_ids)


async def _retrieve_future(request: Request) -> Response:
    wanted = requests.parse_json(requests.RetrieveFuture, await request.body())
    futures = state_of(request).futures
    # A client that waits for a long computation is alive, even one that sends no heartbeats.
    state_of(request).sessions.heard(session_of(wanted.request_id))
    future = futures.find(wanted.request_id)
    if future is None:
        return problem(410, "This result is no longer kept; submit the request again.")
    payload = await futures.wait(future, POLL_SECONDS)
    if payload is None:
        return JSONResponse({"type": "try_again", "request_id": future.request_id, "queue_state": "active"})
    return Response(payload.body, media_type=payload.media_type)


async def _retrieve_futures(request: Request) -> Response:
    wanted = requests.parse_json(requests.RetrieveFutures, await request.body())
    return answer(await state_of(request).samplers.completions(wanted, POLL_SECONDS))


async def _cancel_future(request: Request) -> Response:
    wanted = requests.parse_json(requests.RetrieveFuture, await request.body())
    state_of(request).futures.cancel(wanted.request_id)
    return JSONResponse({})
