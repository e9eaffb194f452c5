"""A real server whose answers a test can spoil on the way: faults of a network, a proxy or an account."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_in_process import KEY, serving
from waiting import PATIENCE

API = "/api/v1/"


@dataclass(frozen=True)
class Fault:
    """What becomes of a request instead of its answer.

    `status` answers in the server's place; `passes_on` has the request carried out before, so that only its
    answer is lost; `cut` ends the connection in the middle of the answer; `seconds` pass first,
    or the time until something is set.
    """

    status: int | None = None
    detail: str = "injected"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    passes_on: bool = False
    cut: bool = False
    seconds: float = 0.0
    until: threading.Event | None = None


When = Callable[[str, int], "Fault | None"]
"""By the name of a route and how often it was asked before, what is to become of the request."""


def _as_it_is(_route: str, _asked: int) -> Fault | None:
    return None


class Between:
    """An application around the server's. Without a plan it passes everything on."""

    app: ASGIApp
    url: str
    model: str

    def __init__(self) -> None:
        self.plan: When = _as_it_is
        self.offered: list[dict[str, Any]] | None = None
        """What is said to be on offer, where it is not the server's own."""
        self.asked: dict[str, int] = {}

    @property
    def settings(self) -> dict[str, str]:
        """The environment of someone with an account there."""
        return {"TINKER_API_KEY": KEY, "TINKER_BASE_URL": self.url}

    def forget(self) -> None:
        """As new: no plan, and nothing asked yet."""
        self.plan, self.offered, self.asked = _as_it_is, None, {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request by its route, and pass it on, answer it or spoil its answer, as planned."""
        if scope["type"] != "http" or not scope["path"].startswith(API):
            await self.app(scope, receive, send)
            return
        route = scope["path"].removeprefix(API)
        before = self.asked.get(route, 0)
        self.asked[route] = before + 1
        if route == "get_server_capabilities" and self.offered is not None:
            await _answer(send, 200, {"supported_models": self.offered})
            return
        fault = self.plan(route, before)
        if fault is None:
            await self.app(scope, receive, send)
            return
        await asyncio.sleep(fault.seconds)
        if fault.until is not None:
            await asyncio.to_thread(fault.until.wait, PATIENCE)
        if fault.passes_on:
            await self.app(scope, receive, _nowhere)
        if fault.cut:
            headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"cut": "', "more_body": True})
            raise ConnectionResetError("as the test wants it")
        if fault.status is not None:
            await _answer(send, fault.status, {"detail": fault.detail}, fault.headers)
        elif not fault.passes_on:
            await self.app(scope, receive, send)


async def _nowhere(_message: Message) -> None:
    """Where an answer goes that gets lost."""


async def _answer(send: Send, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
    told = [(b"content-type", b"application/json")]
    told += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


@pytest.fixture(scope="session")
def spoilt(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Between]:
    """A server on the tiny model, in float32, and what stands before it."""
    between = Between()

    def wrap(app: ASGIApp) -> ASGIApp:
        between.app = app
        return between

    with serving(tiny_model, tmp_path_factory.mktemp("home"), wrap) as running:
        between.url, between.model = running.url, running.model
        yield between


@pytest.fixture
def between(spoilt: Between) -> Iterator[Between]:
    """The same, with nothing spoilt yet."""
    spoilt.forget()
    yield spoilt
    spoilt.forget()
