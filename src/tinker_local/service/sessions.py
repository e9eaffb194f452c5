"""Sessions: which clients are there, and when each was last heard of."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

from tinker_local.errors import NotFoundError, RequestError
from tinker_local.wire.requests import CreateSession

SILENT_SECONDS = 600.0
"""A session ends after this long without a sign of life; the SDK sends a heartbeat every 10 seconds."""


class Sessions:
    """The sessions that are alive. `clock` counts seconds; it should stand still while the machine sleeps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_heard: dict[str, float] = {}
        self._created_by: dict[str, CreateSession] = {}

    def create(self, request: CreateSession) -> str:
        """Begin a session, which has to be heard of at least every SILENT_SECONDS from now on.

        Returns its id, 32 hexadecimal digits.
        """
        session_id = uuid4().hex
        self._last_heard[session_id] = self._clock()
        self._created_by[session_id] = request
        return session_id

    def all(self) -> list[str]:
        """The sessions that are not over, newest first."""
        return list(reversed(self._created_by))

    def created_by(self, session_id: str) -> CreateSession:
        """The request that began a session; raises NotFoundError once it is over."""
        created = self._created_by.get(session_id)
        if created is None:
            raise NotFoundError(f"There is no session {session_id[:60]!r}, or it is over.")
        return created

    def is_alive(self, session_id: str) -> bool:
        """False for a session that is over and for one that never was."""
        return session_id in self._last_heard

    def require(self, session_id: str) -> None:
        """Raises RequestError for a session that is over or never was: nothing would free what it makes."""
        if session_id not in self._last_heard:
            raise RequestError(f"The session {session_id[:60]!r} is over; create a new ServiceClient.")

    def heard(self, session_id: str) -> None:
        """Note a sign of life; one of a session that is over changes nothing."""
        if session_id in self._last_heard:
            self._last_heard[session_id] = self._clock()

    def silent(self) -> list[str]:
        """The sessions whose clients must be taken for dead."""
        now = self._clock()
        return [session_id for session_id, heard in self._last_heard.items() if now - heard > SILENT_SECONDS]

    def end(self, session_id: str) -> None:
        """Forget a session, known or not; what it made is freed by `ServerState.end_session`."""
        self._last_heard.pop(session_id, None)
        self._created_by.pop(session_id, None)


def session_of(request_id: str) -> str:
    """The session that a run's or a sampler's request belongs to: such ids begin with it."""
    return request_id.partition(":")[0]
