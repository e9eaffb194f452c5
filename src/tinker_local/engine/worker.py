"""The one thread that computes. It takes work in turn from every lane, in order within a lane.

It should be the process's main thread: OpenMP counts the main thread among its own, so a second thread
that computes makes it believe the cores are oversubscribed, and every parallel region then sleeps
instead of spinning (a step of the bundled model took 76 ms instead of 33).

A lane is one client's queue: a training run or a sampling session. Taking turns keeps a long queue of
training from holding up a sample, and the other way round. Work that says so (equal `batch_key`) is
taken from all lanes at once and run together.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from tinker_local.errors import BusyError

MAX_BATCH = 64
"""Most requests that run as one batch."""
MAX_QUEUED_BYTES = 256 * 2**20
"""Requests beyond this are told to wait; one alone is always taken."""


@dataclass(frozen=True)
class Work:
    """Something to compute. `run` gets the payloads of a batch and returns one outcome for each."""

    lane: str
    payload: Any
    run: Callable[[Sequence[Any]], Sequence[Any]]
    finish: Callable[[Any], None]
    fail: Callable[[Exception], None]
    batch_key: Hashable = None
    num_bytes: int = 0
    is_wanted: Callable[[], bool] = lambda: True


class Worker:
    """Lanes of work. `submit` and `stop` may be called from any thread; `run` is the thread that computes."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[Work]] = OrderedDict()
        self._changed = threading.Condition()
        self._stopping = False
        self._queued_bytes = 0

    def require_room(self, num_bytes: int, held_bytes: int = 0) -> None:
        """Raises BusyError where this much more does not fit beside what is queued and what is held back."""
        with self._changed:
            waiting = self._queued_bytes + held_bytes
            if waiting and waiting + num_bytes > MAX_QUEUED_BYTES:
                raise BusyError("Much work is queued already; send the request again in a moment.")

    def submit(self, work: Work) -> None:
        with self._changed:
            self._lanes.setdefault(work.lane, deque()).append(work)
            self._queued_bytes += work.num_bytes
            self._changed.notify()

    def stop(self) -> None:
        """Let `run` finish the batch in hand and return; what is still queued is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _take(self) -> list[Work]:
        """The next batch, or nothing when stopping. The lane that was served goes to the back."""
        with self._changed:
            self._drop_unwanted()
            while not self._lanes and not self._stopping:
                self._changed.wait()
                self._drop_unwanted()
            if self._stopping:
                return []
            lane, queue = next(iter(self._lanes.items()))
            batch = [queue.popleft()]
            self._lanes.move_to_end(lane)
            key = batch[0].batch_key
            if key is not None:
                for other in self._lanes.values():
                    while other and other[0].batch_key == key and len(batch) < MAX_BATCH:
                        batch.append(other.popleft())
            for name in [name for name, other in self._lanes.items() if not other]:
                del self._lanes[name]
            self._queued_bytes -= sum(work.num_bytes for work in batch)
            return batch

    def _drop_unwanted(self) -> None:
        """Let go what was cancelled and is next in its lane: a lane of an ended session takes no turns."""
        for name, queue in list(self._lanes.items()):
            while queue and not queue[0].is_wanted():
                self._queued_bytes -= queue.popleft().num_bytes
            if not queue:
                del self._lanes[name]

    def run(self) -> None:
        """Compute until stopped."""
        # A function of its own, so that what it held is free while this thread waits for more.
        while batch := self._take():
            _compute(batch)
            del batch


def _compute(queued: Sequence[Work]) -> None:
    batch = [work for work in queued if work.is_wanted()]
    if not batch:
        return
    try:
        outcomes = batch[0].run([work.payload for work in batch])
    # The thread must outlive whatever a request does to it; the client is told what happened.
    except Exception as error:  # noqa: BLE001
        for work in batch:
            work.fail(error)
        return
    for work, outcome in zip(batch, outcomes, strict=True):
        try:
            work.finish(outcome)
        except Exception as error:  # noqa: BLE001
            # An outcome that cannot be told is one more failure of the request, not of the thread.
            work.fail(error)
