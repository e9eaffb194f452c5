"""The one thread that computes. It takes work in turn from every lane, in order within a lane.

It should be the process's main thread: OpenMP counts the main thread among its own, so a second thread
that computes makes it believe the cores are oversubscribed, and every parallel region then sleeps
instead of spinning (a step of the bundled model took 76 ms instead of 33).

Work comes to its lane from `service.training_runs` (through `service.ordering`) and `service.samplers`,
sampling requests come by way of `infer.scheduler`, and results go back by the `finish` or `fail` of each.

A lane is one client's queue, such as a training run's, and its work is done in whole pieces.

Sampling is done in steps of a fraction of a second, between which the worker looks up: whether to stop, and
whose turn it is. While queued work waits, sampling runs first, for about as long as the last piece of queued
work took (`LEAST_TURN` at least); then one piece of queued work is done, and so on in turn.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tinker_local.errors import BusyError

MAX_QUEUED_BYTES = 256 * 2**20
"""Requests beyond this are told to wait; one alone is always taken."""
LEAST_TURN = 0.2
"""Seconds of sampling for which queued work waits even where its last piece took less."""


@dataclass(frozen=True)
class Work:
    """Something to compute: `finish` gets what `run` returns, `fail` what it raises."""

    lane: str
    run: Callable[[], Any]
    finish: Callable[[Any], None]
    fail: Callable[[Exception], None]
    num_bytes: int = 0
    is_wanted: Callable[[], bool] = lambda: True


class TokenSteps(Protocol):
    """What samples, a `Scheduler`. `step` computes one token step, tells its own errors, and raises none."""

    @property
    def has_work(self) -> bool:
        """Whether `step` has anything to do; asked under the worker's lock, so it must answer at once."""
        ...

    def step(self) -> None:
        """Compute for a fraction of a second; until it returns, no other work is looked at."""
        ...


class Worker:
    """Lanes of work, and steps. All but `run`, which computes, may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lanes: OrderedDict[str, deque[Work]] = OrderedDict()
        self._steps: TokenSteps | None = None
        # Seconds for which steps still go before queued work.
        self._left = LEAST_TURN
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
        """Put work at the end of its lane; after `stop` none of its functions is called."""
        with self._changed:
            self._lanes.setdefault(work.lane, deque()).append(work)
            self._queued_bytes += work.num_bytes
            self._changed.notify()

    def attach(self, steps: TokenSteps) -> None:
        """Do these steps too; call `wake` when there are some again."""
        self._steps = steps

    def wake(self) -> None:
        """Look for steps."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Let `run` finish the work or the step in hand and return; all else is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _take(self) -> TokenSteps | Work | None:
        """What to do next, or nothing when stopping."""
        with self._changed:
            while not self._stopping:
                self._drop_unwanted()
                if self._steps is not None and self._steps.has_work and (self._left > 0 or not self._lanes):
                    return self._steps
                if self._lanes:
                    return self._take_work()
                self._changed.wait()
            return None

    def _take_work(self) -> Work:
        """The next work. The lane that was served goes to the back."""
        lane, queue = next(iter(self._lanes.items()))
        work = queue.popleft()
        self._lanes.move_to_end(lane)
        if not queue:
            del self._lanes[lane]
        self._queued_bytes -= work.num_bytes
        return work

    def _drop_unwanted(self) -> None:
        """Let go what was cancelled and is next in its lane: a lane of an ended session takes no turns."""
        for name, queue in list(self._lanes.items()):
            while queue and not queue[0].is_wanted():
                self._queued_bytes -= queue.popleft().num_bytes
            if not queue:
                del self._lanes[name]

    def run(self) -> None:
        """Compute until stopped."""
        while (taken := self._take()) is not None:
            started = self._clock()
            if isinstance(taken, Work):
                _compute(taken)
                self._left = max(self._clock() - started, LEAST_TURN)
            else:
                taken.step()
                # A turn counts only while somebody waits for its end.
                seconds = self._clock() - started
                self._left = self._left - seconds if self._lanes else max(self._left, LEAST_TURN)
            # What was held is free while this thread waits for more.
            del taken


def _compute(work: Work) -> None:
    # It may have been cancelled since it was taken.
    if not work.is_wanted():
        return
    try:
        work.finish(work.run())
    # The thread must outlive whatever a request does to it; the client is told what happened. An outcome that
    # cannot be told is one more failure of the request.
    except Exception as error:  # noqa: BLE001
        work.fail(error)
