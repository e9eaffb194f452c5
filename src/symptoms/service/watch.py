"""Waiting for a service that is not our own: telling what it waits for, and when to give up.

What the SDK (0.38) does by itself, without a word for the first minutes:

| what comes back | sending a request | asking for its result |
|---|---|---|
| 408, 409, 429, 5xx, no connection | again for 5 minutes | again without end |
| 402 | again for an hour | again for an hour |
| 401, 403, 404, 410 | raised at once | raised at once, as ValueError or RetryableException |

Here the reason is told after seconds, and a run that can be resumed is ended after minutes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from symptoms.errors import ServiceError
from symptoms.service.faults import PASSING, PAYMENT, error_of, no_answer, said_of_status

if TYPE_CHECKING:
    import tinker

BACKGROUND = ("session_heartbeat", "client/config", "client/dynamic_config", "telemetry")
"""Routes that the SDK asks by the clock, whatever a run does."""
T = TypeVar("T")
OURS = ("tinker.lib.internal_client_holder", "tinker.lib.retry_handler")
"""Loggers of the SDK whose warnings are told here in other words."""


@dataclass(frozen=True)
class Patience:
    """Seconds: until a wait is explained, explained again, called slow, and given up."""

    look_every: float = 0.5
    tell_after: float = 5.0
    tell_again: float = 60.0
    slow_after: float = 30.0
    give_up_after: float = 300.0
    give_up_paying_after: float = 60.0
    """Whoever has to add credit is seldom there at once, and the run goes on later as well as now."""


@dataclass(frozen=True)
class Trouble:
    """Why a route does not give what it should: its status, 0 without an answer; and since when."""

    status: int
    since: float


class Watch(logging.Handler):
    """Sees how a service answers, within a `with` block; `wait` is how its futures are awaited."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        super().__init__()
        self.url = url
        self.say: Callable[[str], None] = _to_standard_error
        """Where a line goes that tells what is being waited for."""
        self._patience = patience or Patience()
        self._host = urlsplit(url).netloc
        self._troubles: dict[str, Trouble] = {}
        self._guard = threading.Lock()
        self._heard = time.monotonic()

    def __enter__(self) -> Self:
        # httpx tells each answer in one line, which the SDK's own logs do not.
        logger = logging.getLogger("httpx")
        self._level = logger.level
        logger.setLevel(min(logging.INFO, self._level or logging.INFO))
        logger.addHandler(self)
        for name in OURS:
            logging.getLogger(name).addFilter(_is_not_told_here)
        return self

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("httpx")
        logger.removeHandler(self)
        logger.setLevel(self._level)
        for name in OURS:
            logging.getLogger(name).removeFilter(_is_not_told_here)

    def emit(self, record: logging.LogRecord) -> None:
        """Note an answer that httpx tells of."""
        arguments = record.args
        if not isinstance(arguments, tuple) or len(arguments) != 5:
            return
        url, status = urlsplit(str(arguments[1])), arguments[3]
        if url.netloc != self._host or not isinstance(status, int):
            return
        route = url.path.rpartition("/api/v1/")[2]
        now = time.monotonic()
        with self._guard:
            self._heard = now
            self._troubles.pop("", None)
            if route.startswith(BACKGROUND):
                return
            if status in PASSING:
                before = self._troubles.get(route)
                self._troubles[route] = Trouble(status, before.since if before else now)
            else:
                self._troubles.pop(route, None)

    def wait(self, future: Any, timeout: float | None = None) -> Any:
        """The result of one of the SDK's futures.

        Raises ServiceError where it is not to be had, and TimeoutError where it is not there after so many
        seconds, if any are told.
        """
        patience, began, told = self._patience, time.monotonic(), None
        while True:
            left = math.inf if timeout is None else began + timeout - time.monotonic()
            try:
                result = future.result(timeout=min(patience.look_every, max(left, 0.0)))
            except TimeoutError as error:
                if future.future().done():
                    raise ServiceError(no_answer(self.url, error)) from error
                if left <= patience.look_every:
                    raise
                told = self._look(began, told)
            except Exception as error:
                known = error_of(error, self.url)
                if known is error:
                    raise
                raise known from error
            else:
                if told is not None:
                    self.say(f"{self.url} answers again after {time.monotonic() - began:.0f} s")
                return result

    def _look(self, began: float, told: float | None) -> float | None:
        """Tell what is being waited for where that is due; returns when that was last done."""
        patience = self._patience
        if time.monotonic() - max(self._heard, began) > patience.tell_after:
            self._probe(began)
        now, trouble = time.monotonic(), self._worst()
        due = told is None or now - told >= patience.tell_again
        if trouble is None:
            if due and now - began >= patience.slow_after:
                self.say(f"{self.url} is still at work on the answer, for {now - began:.0f} s now")
                return now
            return told
        lasted = now - max(trouble.since, began)
        paying = trouble.status == PAYMENT
        limit = patience.give_up_paying_after if paying else patience.give_up_after
        said = said_of_status(self.url, trouble.status)
        if lasted >= limit:
            raise ServiceError(f"{said}, for {lasted:.0f} s now.")
        if due and lasted >= patience.tell_after:
            self.say(f"{said}; trying again for {limit - lasted:.0f} s more, Ctrl-C twice ends it now")
            return now
        return told

    def _worst(self) -> Trouble | None:
        """The trouble that has lasted longest; that with payment comes first, since waiting does not help."""
        with self._guard:
            troubles = list(self._troubles.values())
        return min(troubles, key=lambda one: (one.status != PAYMENT, one.since), default=None)

    def _probe(self, began: float) -> None:
        """Whether the service answers at all; any answer is one."""
        import httpx

        since = max(self._heard, began)
        # An answer is noted by `emit`.
        with suppress(httpx.HTTPError):
            httpx.get(f"{self.url}/api/v1/healthz", timeout=self._patience.tell_after)
            return
        with self._guard:
            self._troubles.setdefault("", Trouble(0, since))

    def over(self, given: Any) -> Any:
        """One of the SDK's clients or futures, so that what comes of it is awaited with `wait`."""
        import tinker

        # Futures of clients can be used as clients, too.
        if isinstance(given, tinker.APIFuture):
            return _WatchedFuture(cast("tinker.APIFuture[Any]", given), self)
        clients = [tinker.ServiceClient, tinker.TrainingClient, tinker.SamplingClient]
        # Not in older versions of the SDK, which has its own way to make one.
        clients += [tinker.RestClient] if hasattr(tinker, "RestClient") else []
        if isinstance(given, tuple(clients)):
            return _WatchedClient(given, self)
        return given


class _WatchedFuture:
    def __init__(self, future: tinker.APIFuture[Any], watch: Watch) -> None:
        self._future, self._watch = future, watch

    def result(self, timeout: float | None = None) -> Any:
        return self._watch.over(self._watch.wait(self._future, timeout))


class _WatchedClient:
    """A client of the SDK; the futures that its methods return are watched."""

    def __init__(self, client: Any, watch: Watch) -> None:
        self._client, self._watch = client, watch

    @property
    def behind(self) -> Any:
        """The SDK's own client."""
        return self._client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found
        watch = self._watch

        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return watch.over(found(*arguments, **options))
            except Exception as error:
                known = error_of(error, watch.url)
                if known is error:
                    raise
                raise known from error

        return call


def unwatched(client: T) -> T:
    """The SDK's own client behind a watched one, for who wants to see what it does by itself."""
    return cast(T, client.behind) if isinstance(client, _WatchedClient) else client


def _to_standard_error(text: str) -> None:
    import sys

    sys.stderr.write(f"{text}\n")


def _is_not_told_here(record: logging.LogRecord) -> bool:
    ours = "The job is paused", "The job was paused", "Session heartbeat", "Request failed"
    return not record.getMessage().startswith(ours)
