"""Importing much at once, which takes most of the time in which a command starts."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Generator[None, None, None]:
    """Let the garbage collector rest while something is imported.

    It would look again and again at what imports make, which lives as long as the process does: a fifth of
    the time that the Tinker SDK takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
