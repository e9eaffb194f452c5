"""Promises of results that clients poll for.

A waiting poll sleeps on an event and is woken the moment its result is there. A request id is derived
from (model, sequence number), so a submission that the SDK repeats finds the future it already has.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field

from pydantic import BaseModel

from tinker_local.errors import RequestError
from tinker_local.service.sessions import session_of

logger = logging.getLogger(__name__)

KEEP_RETRIEVED_SECONDS = 120.0
"""A result stays this long after it was fetched, in case the answer got lost on its way."""
KEEP_UNCLAIMED_SECONDS = 3600.0

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Payload:
    """The body of an answer with its media type."""

    body: bytes
    media_type: str = JSON


@dataclass
class Future:
    """One promised result."""

    request_id: str
    done: asyncio.Event = field(default_factory=asyncio.Event)
    payload: Payload | None = None
    cancelled: bool = False
    expires: float = float("inf")


class Futures:
    """All promises of the server. Created and read on the event loop; completed from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: dict[str, Future] = {}

    def find(self, request_id: str) -> Future | None:
        return self._futures.get(request_id)

    def create(self, request_id: str) -> Future:
        future = Future(request_id)
        self._futures[request_id] = future
        return future

    def complete(self, future: Future, payload: Payload) -> None:
        """Deliver a result; safe from any thread, and a no-op once the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self._set, future, payload)
        except RuntimeError:
            logger.debug("dropped the result of %s: the server is closing", future.request_id)

    def complete_with(self, future: Future, answer: BaseModel) -> None:
        self.complete(future, Payload(answer.model_dump_json().encode()))

    def fail(self, future: Future, error: Exception) -> None:
        """Deliver a failure: the user's fault in full, our own with its type and a line in the log."""
        if isinstance(error, RequestError):
            answer = {"error": str(error), "category": "user"}
        else:
            # The text of a request must not reach the log, so only the trace of our own code does.
            logger.error("request %s failed", future.request_id, exc_info=error)
            answer = {"error": f"The server failed ({type(error).__name__}: {error}).", "category": "server"}
        self.complete(future, Payload(json.dumps(answer).encode()))

    def cancel(self, request_id: str) -> None:
        """Give up a result that is not there yet; work that has not begun is then left out."""
        future = self._futures.get(request_id)
        if future is not None and not future.done.is_set():
            future.cancelled = True
            self.fail(future, RequestError("The request was cancelled by its client."))

    async def wait(self, future: Future, seconds: float) -> Payload | None:
        """The result, or None when it is not there within this many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await future.done.wait()
        except TimeoutError:
            return None
        future.expires = min(future.expires, time.monotonic() + KEEP_RETRIEVED_SECONDS)
        return future.payload

    def _set(self, future: Future, payload: Payload) -> None:
        future.payload = payload
        future.expires = time.monotonic() + KEEP_UNCLAIMED_SECONDS
        future.done.set()

    def forget_expired(self) -> None:
        """Drop results whose time is over. Called regularly, since any of them may be the next to expire."""
        now = time.monotonic()
        for request_id in [key for key, future in self._futures.items() if future.expires < now]:
            del self._futures[request_id]

    def end_session(self, session_id: str) -> None:
        """Drop the results of a finished session, those to come included: nobody asks for them any more."""
        for request_id in [key for key in self._futures if session_of(key) == session_id]:
            del self._futures[request_id]
