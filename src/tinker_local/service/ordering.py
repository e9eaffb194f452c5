"""The requests of one training run, carried out in the order of their numbers.

Work comes from `service.training_runs` and goes, once its turn has come, to its lane in `engine.worker`.

The SDK numbers a training client's requests 1, 2, 3, ... whatever they ask, and sends each once the one
before it was taken. But the chunks of a large batch it sends all at once, the first of them last, and counts
on the server to begin with the first. In which order they are added up shows in the last digits of the
gradients, so taking them as they come would make two runs of one seed differ.

A number is waited for only so long: the SDK skips one whose request it gave up (cancelled, or refused before
it arrived), and a run must not stand still for ever. A chunk that comes after that is still added, as long
as nothing has used the gradients; any other latecomer is refused, since what it should precede has been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tinker_local.engine.worker import Work
from tinker_local.errors import RequestError

WAIT_SECONDS = 10.0
"""How long a number is waited for once a later one has come; the SDK tries again after 1, 2, 4 s."""
MAX_AHEAD = 4096
"""The SDK is ahead of the next number by the chunks of one batch at most."""


class InOrder:
    """Work held back until all of lower numbers has been released. Lives on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, release: Callable[[Work], None]) -> None:
        self._loop = loop
        self._release = release
        self._next = 1
        self._held: dict[int, tuple[Work, bool]] = {}
        # Numbers that were waited for in vain, while only gradients were added since.
        self._skipped: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of the requests that wait for a lower number, by their own count."""
        return sum(work.num_bytes for work, _ in self._held.values())

    def awaits(self, number: int) -> bool:
        """Whether held work waits for this very number."""
        return number == self._next and bool(self._held)

    def check(self, number: int, adds_up: bool) -> None:
        """Raises RequestError for a number that was taken, comes too late or much too early."""
        comes_late = adds_up and number in self._skipped
        if number in self._held or (number < self._next and not comes_late):
            raise RequestError(
                f"Request {number} is not done twice, nor after later ones; send a new number."
            )
        if number > self._next + MAX_AHEAD:
            raise RequestError(
                f"Request {number} is far ahead of {self._next}, the next; number them 1, 2, 3."
            )

    def add(self, number: int, work: Work, adds_up: bool) -> None:
        """Release the work when its turn comes. Work that `adds_up` gives the same sum in any order."""
        if number in self._skipped:
            self._skipped.discard(number)
            self._release_one(work, adds_up)
            return
        self._held[number] = (work, adds_up)
        self._go_on()

    def close(self) -> None:
        """Drop what is held."""
        self._held.clear()
        self._go_on()

    def _go_on(self) -> None:
        waited_for = self._next
        while self._next in self._held:
            self._release_one(*self._held.pop(self._next))
            self._next += 1
        # The wait for one number is not prolonged by what comes in the meantime.
        if self._timer is not None and (self._next != waited_for or not self._held):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._held:
            self._timer = self._loop.call_later(WAIT_SECONDS, self._skip)

    def _skip(self) -> None:
        self._timer = None
        first = min(self._held)
        self._skipped.update(range(self._next, first))
        if len(self._skipped) > MAX_AHEAD:
            self._skipped.clear()
        self._next = first
        self._go_on()

    def _release_one(self, work: Work, adds_up: bool) -> None:
        if not adds_up:
            self._skipped.clear()
        self._release(work)
