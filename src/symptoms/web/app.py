"""The page and the API as one ASGI application."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from symptoms.classifier import (
    language_notice_of,
    notice_of,
    notices_without_model,
)
from symptoms.disclaimer import DISCLAIMER
from symptoms.safety import screen
from symptoms.web.bodies import MAX_BODY_BYTES, AssessRequest, BatchRequest, ModelAnswer, ScreenRequest
from symptoms.web.guard import EXCEPTION_HANDLERS, Access, Guard
from symptoms.web.openapi import openapi_document
from symptoms.web.problems import ApiError, sentence_of
from symptoms.web.rate_limit import RateLimit
from symptoms.web.shown_runs import shown_run, shown_runs
from symptoms.web.waiting_line import WaitingLine

PAGE_FOLDER = Path(str(files("symptoms.web").joinpath("page")))
MODEL_SECONDS = 60.0
BODY_SECONDS = 20.0
DRAINED_BYTES = 16 * MAX_BODY_BYTES
"""How much of too long a body is read and dropped, so that its sender gets to hear the answer."""

RequestBody = TypeVar("RequestBody", bound=BaseModel)


@dataclass(frozen=True)
class Served:
    """What the application needs. `run` is the directory of the run that answers, if one is here.

    `screens_beside_model` is whether the model is the crisis screen's third layer, too.
    """

    line: WaitingLine
    model: ModelAnswer
    run: Path | None
    access: Access
    rate_limit: RateLimit
    screens_beside_model: bool = False


def create_app(served: Served) -> Starlette:
    """The application, without a server."""
    handlers = _Handlers(served)
    routes: list[BaseRoute] = [
        Route("/", handlers.page, methods=["GET"]),
        Mount("/page", StaticFiles(directory=PAGE_FOLDER)),
        Route("/healthz", handlers.health, methods=["GET"]),
        Route("/openapi.json", handlers.openapi, methods=["GET"]),
        Route("/api/screen", handlers.screen, methods=["POST"]),
        Route("/api/assess", handlers.assess, methods=["POST"]),
        Route("/api/assess/batch", handlers.assess_batch, methods=["POST"]),
        Route("/api/model", handlers.model, methods=["GET"]),
        Route("/api/runs", handlers.runs, methods=["GET"]),
        Route("/api/runs/{name:path}", handlers.run, methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access=served.access)],
        exception_handlers=EXCEPTION_HANDLERS,
    )


class _Handlers:
    """One method an address. Those that are not async read files, and Starlette gives them a thread."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def page(self, _request: Request) -> Response:
        return FileResponse(PAGE_FOLDER / "index.html")

    def openapi(self, _request: Request) -> Response:
        return JSONResponse(openapi_document())

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "waiting": len(self._served.line)})

    async def model(self, _request: Request) -> Response:
        return _answer(self._served.model)

    def runs(self, _request: Request) -> Response:
        return _answer(shown_runs(self._served.run))

    def run(self, request: Request) -> Response:
        unknown = set(request.query_params) - {"after"}
        after = request.query_params.get("after", "0")
        if unknown or not (after.isascii() and after.isdigit()) or len(after) > 9:
            raise ApiError(422, "'after' has to be the number of a step, and is the only parameter.")
        return _answer(shown_run(request.path_params["name"], int(after), self._served.run))

    async def screen(self, request: Request) -> Response:
        asked = await self._charged_body(request, ScreenRequest)
        beside_model = asked.before_model and self._served.screens_beside_model
        screening = await run_in_threadpool(screen, asked.text, beside_model)
        country = self._country(asked.country)
        notice, unread = notice_of(screening, country), language_notice_of(screening, country)
        told = None if unread is None else asdict(unread)
        if notice is None:
            try:
                self._charge(request, 1)
            except ApiError as problem:
                raise problem.beside(told) from None
        return JSONResponse(
            {
                "crisis": screening.crisis,
                "crisis_level": screening.level.value,
                "crisis_notice": None if notice is None else asdict(notice),
                "language_notice": told,
                "disclaimer": DISCLAIMER,
            }
        )

    async def assess(self, request: Request) -> Response:
        asked = await self._charged_body(request, AssessRequest)
        [outcome] = await self._assess(request, [asked.text], asked.country)
        if isinstance(outcome, ApiError):
            raise outcome
        return JSONResponse(outcome)

    async def assess_batch(self, request: Request) -> Response:
        asked = await self._charged_body(request, BatchRequest)
        outcomes = await self._assess(request, asked.texts, asked.country)
        for outcome in outcomes:
            # What no description is to blame for ends the whole request, so that it can be sent again.
            if isinstance(outcome, ApiError) and outcome.status != 422:
                raise outcome
        return JSONResponse(
            {
                "results": [
                    _unanswered(outcome)
                    if isinstance(outcome, ApiError)
                    else {"assessment": outcome, "error": None}
                    for outcome in outcomes
                ]
            }
        )

    async def _charged_body(self, request: Request, kind: type[RequestBody]) -> RequestBody:
        """The body; one that cannot be read is charged for, too."""
        try:
            return await _body(request, kind)
        except ApiError:
            self._charge(request, 1)
            raise

    async def _assess(
        self, request: Request, texts: Sequence[str], country: str | None
    ) -> list[dict[str, Any] | ApiError]:
        """For each text its assessment or why there is none; one that speaks of danger has its notice."""
        try:
            self._charge(request, len(texts))
            answers = [asyncio.wrap_future(answer) for answer in self._served.line.put(texts)]
        except ApiError as problem:
            return [await self._without_model(text, country, problem) for text in texts]
        await asyncio.wait(answers, timeout=MODEL_SECONDS)
        outcomes: list[dict[str, Any] | ApiError] = []
        for text, answer in zip(texts, answers, strict=True):
            if not answer.done():
                answer.cancel()
                slow = ApiError(504, f"The model took longer than {MODEL_SECONDS:.0f} seconds; try again.", 5)
                outcomes.append(await self._without_model(text, country, slow))
            elif isinstance(error := answer.exception(), ApiError):
                outcomes.append(await self._without_model(text, country, error))
            else:
                # The waiting line knows nothing of countries.
                outcomes.append(answer.result().in_country(self._country(country)).to_json())
        return outcomes

    async def _without_model(
        self, text: str, country: str | None, problem: ApiError
    ) -> dict[str, Any] | ApiError:
        """The notice of danger, which needs no model; else the problem.

        Beside the problem stands the notice of a text in a language that is not read.
        """
        without_model = await run_in_threadpool(notices_without_model, text, problem, self._country(country))
        if without_model is None:
            return problem
        told = without_model.to_json()
        return told if without_model.crisis else problem.beside(told["language_notice"])

    def _country(self, asked: str | None) -> str | None:
        return asked or self._served.model.country

    def _charge(self, request: Request, cost: int) -> None:
        client = request.client.host if request.client else ""
        seconds = self._served.rate_limit.seconds_to_wait(client, cost)
        if seconds:
            raise ApiError(429, "Too many descriptions were sent; wait a little and try again.", seconds)


def _unanswered(problem: ApiError) -> dict[str, Any]:
    beside = {} if problem.language_notice is None else {"language_notice": problem.language_notice}
    return {"assessment": None, "error": str(problem), **beside}


def _answer(answer: BaseModel) -> Response:
    return JSONResponse(answer.model_dump())


async def _body(request: Request, kind: type[RequestBody]) -> RequestBody:
    """The JSON body; raises ApiError for one that is too long, late, not JSON, or of another form."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(415, "The body has to be JSON; send it with Content-Type: application/json.")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await _read(request)
    except TimeoutError:
        raise ApiError(408, "The body did not arrive in time; send it again.") from None
    try:
        # Not by pydantic, which refuses escaped halves of surrogate pairs.
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not JSON in UTF-8; send one JSON object.") from None
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise ApiError(422, sentence_of(error)) from None


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    received = 0
    kept = bytearray()
    if not (length.isdigit() and int(length) > DRAINED_BYTES):
        async for chunk in request.stream():
            received += len(chunk)
            if received <= MAX_BODY_BYTES:
                kept += chunk
            elif received > DRAINED_BYTES:
                break
        if received <= MAX_BODY_BYTES:
            return bytes(kept)
    raise ApiError(413, f"The body is longer than {MAX_BODY_BYTES // 1024} KiB; shorten or split it.")
