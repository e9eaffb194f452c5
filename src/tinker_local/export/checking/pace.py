"""How far a stage of an export is, and how long the rest of it takes at the pace so far."""

from __future__ import annotations

import time
from collections.abc import Callable

WORTH_TELLING = 5.0
"""A rest of fewer seconds is over before it is read."""


def paced(tell: Callable[[str], None], what: str, every: int) -> Callable[[int], None]:
    """Give `tell` a line for each number of parts that are done, of `every`, counted from now on."""
    started = time.monotonic()

    def done(number: int) -> None:
        left = (time.monotonic() - started) / max(number, 1) * (every - number)
        rest = f", about {time_in_words(left)} left" if left > WORTH_TELLING else ""
        tell(f"{what}, {number} of {every}{rest}")

    return done


def time_in_words(seconds: float) -> str:
    """A time that is a guess, in one unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
