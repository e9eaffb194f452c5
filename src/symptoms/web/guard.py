"""What every request passes before its handler and every answer on its way back."""

import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from symptoms.web.problems import ApiError, log_without_words

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
SENTENCES = {
    404: "There is nothing at this address; /openapi.json lists what there is.",
    405: "This address does not take this method; /openapi.json lists what it takes.",
}


@dataclass(frozen=True)
class Access:
    """Who may ask. `key` is None where none is needed, and `hosts` where any name may be used."""

    key: str | None
    hosts: frozenset[str] | None


@dataclass(frozen=True)
class Guard:
    """Request ids, the checks of host, origin and key, headers that protect the page, errors as JSON."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request, with JSON where it or its handler fails; all else passes as it is."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told = headers.get("x-request-id", "")
        request_id = told if REQUEST_ID.fullmatch(told) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                fields = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    fields[name] = value
                fields["X-Request-Id"] = request_id
                # The page is asked for anew, so that it fits the API; answers are about a person.
                is_data = scope["path"].startswith("/api/")
                fields["Cache-Control"] = "no-store" if is_data else "no-cache"
            await send(message)

        try:
            self._check(scope["path"], headers)
            await self.app(scope, receive, send_protected)
        except ClientDisconnect:
            return
        except ApiError as problem:
            await error_response(request_id, problem)(scope, receive, send_protected)
        except Exception as error:  # noqa: BLE001 - the outermost place, where it becomes an answer
            log_without_words(error)
            if not started:
                problem = ApiError(500, "Something went wrong that should not have; the log tells where.")
                await error_response(request_id, problem)(scope, receive, send_protected)

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if self.access.hosts is not None and _name_of(host) not in self.access.hosts:
            # A page elsewhere can make its own name point here (DNS rebinding), but not change this header.
            raise ApiError(403, "This name is not served here; use the address that 'symptoms serve' shows.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise ApiError(403, "Pages of other origins may not ask here.")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path.startswith("/api/"):
            raise ApiError(403, "Pages of other origins may not ask here.")
        if self.access.key is not None and path.startswith("/api/"):
            told = headers.get("authorization", "")
            wanted = f"Bearer {self.access.key}"
            if not secrets.compare_digest(told.encode("utf-8"), wanted.encode("utf-8")):
                raise ApiError(401, "A key is needed; send that of 'symptoms serve' as bearer token.")


def error_response(request_id: str, problem: ApiError) -> Response:
    """A problem as JSON."""
    headers = {**problem.headers, **({"WWW-Authenticate": "Bearer"} if problem.status == 401 else {})}
    body: dict[str, Any] = {"error": str(problem), "request_id": request_id}
    if problem.language_notice is not None:
        body["language_notice"] = problem.language_notice
    return JSONResponse(body, problem.status, headers)


def on_problem(request: Request, error: Exception) -> Response:
    """For errors that a handler raises on purpose."""
    assert isinstance(error, ApiError)
    return error_response(request.state.request_id, error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """For errors of the router."""
    assert isinstance(error, HTTPException)
    sentence = SENTENCES.get(error.status_code, "This request cannot be answered; /openapi.json tells why.")
    response = error_response(request.state.request_id, ApiError(error.status_code, sentence))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


EXCEPTION_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    ApiError: on_problem,
    HTTPException: on_http_exception,
}


def _name_of(host: str) -> str:
    """The name in a Host header, without the port and the brackets of IPv6."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
