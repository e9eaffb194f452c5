"""The routes of the Tinker API, as a Starlette application.

A user's mistake in a request that promises a result becomes a failed future, never an HTTP error: the
SDK retries most error statuses for minutes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from tinker_local import __version__
from tinker_local.errors import BusyError, NotFoundError, RequestError
from tinker_local.server.answering import answer, problem, state_of
from tinker_local.server.bodies import TooLargeError, read_body
from tinker_local.server.downloads import Links, download_routes
from tinker_local.server.guard import HEALTH, TOO_LARGE, Access, Guard
from tinker_local.server.openai import openai_app
from tinker_local.server.rest import rest_routes
from tinker_local.service.futures import Future
from tinker_local.service.server_state import ServerState
from tinker_local.service.sessions import session_of
from tinker_local.wire import answers, requests
from tinker_local.wire.forward_backward import parse_forward_backward

POLL_SECONDS = 30.0
"""A poll is answered with "try again" after this long; the SDK itself gives up at 45 seconds."""

Handler = Callable[[Request], Awaitable[Response]]


def create_app(state: ServerState, access: Access) -> ASGIApp:
    """The application, behind the checks of who may ask."""
    app = Starlette(
        routes=[
            _post("client/config", _nothing),
            _post("client/dynamic_config", _dynamic_config),
            _post("telemetry", _discard_telemetry),
            _post("create_session", _create_session),
            _post("session_heartbeat", _session_heartbeat),
            _post("sessions/{session_id}/finish", _finish_session),
            _post("create_model", _create_model),
            _post("get_info", _get_info),
            _post("forward_backward", _forward_backward),
            _post("optim_step", _optim_step),
            _post("save_weights", _save_weights),
            _post("save_weights_for_sampler", _save_weights_for_sampler),
            _post("save_weights_external", _save_weights_external),
            _post("load_weights", _load_weights),
            _post("create_sampling_session", _create_sampling_session),
            _post("asample", _sample),
            _post("retrieve_future", _retrieve_future),
            _post("retrieve_futures", _retrieve_futures),
            _post("cancel_future", _cancel_future),
            _post("join_sampling_session", _join_sampling_session),
            Route(HEALTH, _health),
            Route("/api/v1/get_server_capabilities", _capabilities),
            Route("/api/v1/samplers/{sampler_id}", _sampler),
            *rest_routes(),
            *download_routes(),
            Mount("/v1", openai_app(state)),
        ],
        exception_handlers={
            RequestError: _refuse,
            HTTPException: _http_error,
            TooLargeError: _too_large,
            BusyError: _busy,
        },
    )
    app.state.server = state
    app.state.links = Links.new()
    return Guard(app, access)


def _post(path: str, handler: Handler) -> Route:
    return Route(f"/api/v1/{path}", handler, methods=["POST"])


async def _too_large(request: Request, error: Exception) -> Response:
    return problem(413, TOO_LARGE)


async def _busy(request: Request, error: Exception) -> Response:
    # The SDK understands this status as backpressure: it waits and sends the request again.
    return problem(429, str(error))


async def _refuse(request: Request, error: Exception) -> Response:
    return problem(404 if isinstance(error, NotFoundError) else 400, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem(
        status, f"{request.method} {request.url.path} is not offered by tinker_local {__version__}."
    )


def _promise(future: Future, sequence_ids: list[str] | None = None) -> Response:
    return answer(answers.Promise(request_id=future.request_id, sample_sequence_ids=sequence_ids))


async def _promised(request: Request, submit: Callable[[bytes], Future]) -> Response:
    """Submit a body; a mistake in it is told through the future."""
    body = b""
    try:
        body = await read_body(request)
        future = submit(body)
    except RequestError as error:
        future = state_of(request).refused(body, error)
    return _promise(future)


async def _nothing(request: Request) -> Response:
    # Every flag of the client's configuration has a default that suits this server.
    return JSONResponse({})


async def _dynamic_config(request: Request) -> Response:
    return JSONResponse({"sample_cancel_enabled": True})


async def _discard_telemetry(request: Request) -> Response:
    # Answered so that the SDK is content, and never read or kept: it may hold people's words.
    return JSONResponse({"status": "accepted"})


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _capabilities(request: Request) -> Response:
    return answer(state_of(request).capabilities())


async def _create_session(request: Request) -> Response:
    wanted = requests.parse_json(requests.CreateSession, await request.body())
    return answer(state_of(request).create_session(wanted))


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


async def _create_model(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(request, lambda body: runs.create(requests.parse_json(requests.CreateModel, body)))


async def _get_info(request: Request) -> Response:
    wanted = requests.parse_json(requests.GetInfo, await request.body())
    return answer(state_of(request).runs.info(wanted.model_id))


async def _forward_backward(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(request, lambda body: runs.forward_backward(parse_forward_backward(body)))


async def _optim_step(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(
        request, lambda body: runs.optim_step(requests.parse_json(requests.OptimStep, body))
    )


async def _save_weights(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(
        request, lambda body: runs.save_weights(requests.parse_json(requests.SaveWeights, body))
    )


async def _save_weights_for_sampler(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(
        request,
        lambda body: runs.save_weights_for_sampler(requests.parse_json(requests.SaveWeightsForSampler, body)),
    )


async def _save_weights_external(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(
        request,
        lambda body: runs.save_weights_external(requests.parse_json(requests.SaveWeightsExternal, body)),
    )


async def _load_weights(request: Request) -> Response:
    runs = state_of(request).runs
    return await _promised(
        request, lambda body: runs.load_weights(requests.parse_json(requests.LoadWeights, body))
    )


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


async def _join_sampling_session(request: Request) -> Response:
    wanted = requests.parse_json(requests.JoinSamplingSession, await request.body())
    return answer(state_of(request).samplers.join(wanted.sampling_session_id))
