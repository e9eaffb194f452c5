"""The time of a step, as all contestants take it."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds_each(step: Callable[[], object], steps: tuple[int, int]) -> float:
    """Mean seconds of a step in a row of them; `steps` are how many go before, and how many count."""
    before, counted = steps
    for _ in range(before):
        step()
    started = time.perf_counter()
    for _ in range(counted):
        step()
    return (time.perf_counter() - started) / counted
