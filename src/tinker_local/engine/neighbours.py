"""How long threads wait for each other, by whether other programs want the cores.

The threads of a computation meet at thousands of barriers a step. Alone it is best that they turn in circles
until the last one comes, since to sleep and be woken takes longer than most waits. Where another program has
the core of the one that is waited for, that throws the core's time away: a step beside one busy program takes
twice as long with threads that turn as with threads that sleep.

The library cannot be told anew once it runs. But it lets its threads sleep soon (after 100 looks) while there
are more of them than cores, and a team of threads of which nobody makes use counts, too. So one is made when
the system says that our threads had to wait for a core, and let go when they no longer do.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

SPINS = 20_000
"""Looks before a thread sleeps where it is known what others do: a quarter of a millisecond, longer than
nearly all waits of a computation that has the cores to itself."""
SPINS_UNKNOWING = 1_000
"""The same where it is not known: the best of those tried for two servers on two cores."""
LOOK_SECONDS = 0.25
IDLE_SECONDS = 1.0
CROWDED = 0.15
"""Seconds a second that each thread waits for a core, from which on others are taken to be there."""
ALONE = 0.08
"""And up to which they are taken to be gone: below what one busy neighbour makes threads wait that sleep."""

_TASKS = Path("/proc/self/task")


def can_be_known() -> bool:
    """Whether the system tells how long threads wait for a core, as Linux does."""
    return Path("/proc/self/schedstat").exists() and hasattr(os, "sched_getaffinity")


def chosen_spins() -> int:
    """Looks before a thread sleeps, to be told to the library before it is loaded."""
    return SPINS if can_be_known() else SPINS_UNKNOWING


def seconds_waited() -> float:
    """How long the threads of this process that live now have waited for a core, all together."""
    total = 0
    for task in os.listdir(_TASKS):
        try:
            total += int((_TASKS / task / "schedstat").read_text().split()[1])
        except OSError:
            # A thread that has ended since.
            continue
    return total / 1e9


class Crowding:
    """Whether others are there, told from time to time how long the threads have waited."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._before: tuple[float, float] | None = None
        self.is_crowded = False

    def look(self, now: float, waited: float) -> bool:
        """Given the time and the seconds waited so far, both growing; True where others are there."""
        if self._before is not None and now > self._before[0]:
            # Threads that ended take their share along, so that the sum may fall.
            share = max(0.0, waited - self._before[1]) / (now - self._before[0]) / self._threads
            self.is_crowded = share > (ALONE if self.is_crowded else CROWDED)
        self._before = (now, waited)
        return self.is_crowded


def watch(threads: int, stopped: threading.Event) -> None:
    """Look after the neighbours of so many computing threads until stopped; in a thread of its own."""
    if threads < 2:
        return
    crowding = Crowding(threads)
    team: _SleepingTeam | None = None
    computed = time.process_time()
    while True:
        idle = time.process_time() - computed < LOOK_SECONDS / 10
        computed = time.process_time()
        if stopped.wait(IDLE_SECONDS if idle else LOOK_SECONDS):
            break
        if crowding.look(time.monotonic(), seconds_waited()):
            team = team or _SleepingTeam()
        elif team is not None:
            team.release()
            team = None
    if team is not None:
        team.release()


class _SleepingTeam:
    """Threads that have nothing to do, as long as it is not released."""

    def __init__(self) -> None:
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="sleeping team", daemon=True)
        self._thread.start()

    def release(self) -> None:
        self._released.set()
        self._thread.join()

    def _hold(self) -> None:
        # Not before the settings of its threads are made, for which this module is asked.
        import torch

        size = max(2, len(os.sched_getaffinity(0)))
        # Holds for this thread alone, whose team it makes.
        torch.set_num_threads(size)
        torch.ones(size * 2**16).add_(1)
        self._released.wait()
