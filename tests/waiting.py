"""How tests wait: for what is to happen, and never for as long as a quiet machine would need for it."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 240.0
"""Seconds after which something is wrong on a busy machine, too; less than pytest's own limit."""


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Return as soon as it holds; fails with what was waited for."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.01)
