"""Promises of results that clients poll for.

A waiting poll sleeps on an event and is woken the moment its result is there. A request id is derived
from (model, sequence number), so a submission that the SDK repeats finds the future it already has.

A poll asks for one result, or for all of a group of requests that are done since the poll before.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

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
    """One promised result. `place` is its place among all that are done, and zero until then."""

    request_id: str
    group: str | None = None
    place: int = 0
    failed: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    payload: Payload | None = None
    begun: bool = False
    cancelled: bool = False
    expires: float = float("inf")


@dataclass
class _Group:
    """Requests that are watched together, and the polls that sleep until one more of them is done."""

    futures: dict[str, Future] = field(default_factory=dict[str, Future])
    sleeping: set[asyncio.Event] = field(default_factory=set[asyncio.Event])

    def wake(self) -> None:
        for event in self.sleeping:
            event.set()


class Futures:
    """All promises of the server. Created and read on the event loop; completed from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: dict[str, Future] = {}
        self._groups: dict[str, _Group] = {}
        self._places = count(1)
        # Between what begins work on the engine's thread and what cancels it on the event loop.
        self._beginning = threading.Lock()

    def find(self, request_id: str) -> Future | None:
        """None where there was no such request, or its result is no longer kept."""
        return self._futures.get(request_id)

    def create(self, request_id: str, group: str | None = None) -> Future:
        """A promise without a result yet; it takes the place of one with this id, so `find` that first."""
        future = Future(request_id, group)
        self._futures[request_id] = future
        if group is not None:
            self._groups.setdefault(group, _Group()).futures[request_id] = future
        return future

    def complete(self, future: Future, payload: Payload, failed: bool = False) -> None:
        """Deliver a result; safe from any thread, and a no-op once the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self._set, future, payload, failed)
        except RuntimeError:
            logger.debug("dropped the result of %s: the server is closing", future.request_id)

    def complete_with(self, future: Future, answer: BaseModel) -> None:
        """Deliver an answer as JSON, from any thread, as `complete` does."""
        self.complete(future, Payload(answer.model_dump_json().encode()))

    def fail(self, future: Future, error: Exception) -> None:
        """Deliver a failure: the user's fault in full, our own with its type and a line in the log."""
        if isinstance(error, RequestError):
            answer = {"error": str(error), "category": "user"}
        else:
            # The text of a request must not reach the log, so only the trace of our own code does.
            logger.error("request %s failed", future.request_id, exc_info=error)
            answer = {"error": f"The server failed ({type(error).__name__}: {error}).", "category": "server"}
        self.complete(future, Payload(json.dumps(answer).encode()), failed=True)

    def begin(self, future: Future) -> bool:
        """Whether work that changes something may begin; from then on it is past cancelling."""
        with self._beginning:
            future.begun = not future.cancelled
            return future.begun

    def cancel(self, request_id: str) -> None:
        """Give up a result that is not there yet.

        Work that has not begun is left out. What has begun to change something (see `begin`) comes to its
        end and its result is told: to call it failed would hide a gradient that counts.
        """
        future = self._futures.get(request_id)
        if future is not None and not future.done.is_set() and self._give_up(future):
            self.fail(future, RequestError("The request was cancelled by its client."))

    def _give_up(self, future: Future) -> bool:
        with self._beginning:
            future.cancelled = not future.begun
            return future.cancelled

    async def wait(self, future: Future, seconds: float) -> Payload | None:
        """The result, or None when it is not there within this many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await future.done.wait()
        except TimeoutError:
            return None
        future.expires = min(future.expires, time.monotonic() + KEEP_RETRIEVED_SECONDS)
        return future.payload

    async def wait_for_group(self, group: str, after: int, seconds: float) -> list[Future]:
        """Those of a group that are done beyond the place `after`, in order; empty where none is in time."""
        watched = self._groups.setdefault(group, _Group())
        woken = asyncio.Event()
        watched.sleeping.add(woken)
        try:
            async with asyncio.timeout(seconds):
                while not (done := [future for future in watched.futures.values() if future.place > after]):
                    await woken.wait()
                    woken.clear()
        except TimeoutError:
            return []
        finally:
            watched.sleeping.remove(woken)
            self._drop_group_if_empty(group)
        return sorted(done, key=lambda future: future.place)

    def retrieved(self, group: str, request_ids: Iterable[str]) -> None:
        """Drop results of a group that its client says it has."""
        for request_id in request_ids:
            future = self._futures.get(request_id)
            if future is not None and future.group == group and future.done.is_set():
                self._drop(future)

    def _set(self, future: Future, payload: Payload, failed: bool) -> None:
        # The first outcome counts: what was cancelled may still come to its end.
        if future.done.is_set():
            return
        future.payload, future.failed, future.place = payload, failed, next(self._places)
        future.expires = time.monotonic() + KEEP_UNCLAIMED_SECONDS
        future.done.set()
        group = self._groups.get(future.group or "")
        if group is not None:
            group.wake()

    def _drop(self, future: Future) -> None:
        del self._futures[future.request_id]
        if future.group is not None:
            group = self._groups[future.group]
            del group.futures[future.request_id]
            self._drop_group_if_empty(future.group)

    def _drop_group_if_empty(self, name: str) -> None:
        group = self._groups.get(name)
        if group is not None and not group.futures and not group.sleeping:
            del self._groups[name]

    def forget_expired(self) -> None:
        """Drop results whose time is over. Called regularly, since any of them may be the next to expire."""
        now = time.monotonic()
        for future in [one for one in self._futures.values() if one.expires < now]:
            self._drop(future)

    def end_session(self, session_id: str) -> None:
        """Drop the results of a finished session, and leave out what has not begun: nobody asks for it."""
        for future in [one for key, one in self._futures.items() if session_of(key) == session_id]:
            if not future.done.is_set() and self._give_up(future):
                # A poll may be asleep on it.
                self.fail(future, RequestError("Its session is over; create a new ServiceClient."))
            self._drop(future)
