"""One process at a time: a lock that the operating system takes back however its holder ends."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from symptoms.errors import RunError

BETWEEN_TRIES = 0.001
"""Seconds until a lock is tried again at which somebody only looked."""


@contextmanager
def locked(file: Path, what: str) -> Generator[None, None, None]:
    """Hold a lock file; raises RunError, which begins with `what`, where another process holds it.

    The file stays behind, since deleting it would let two processes hold locks of two files of one name.
    """
    with open(file, "a+", encoding="utf-8") as handle:
        while not _took(handle, fcntl.LOCK_EX):
            # Only one that works holds it against others that look; those are gone in a moment.
            if not _took(handle, fcntl.LOCK_SH):
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                raise RunError(
                    f"{what} is being worked on by process {holder}; wait until that ends, or stop it."
                )
            fcntl.flock(handle, fcntl.LOCK_UN)
            time.sleep(BETWEEN_TRIES)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def is_locked(file: Path) -> bool:
    """Whether some process holds a lock file now; keeps nobody from holding it."""
    try:
        with open(file, "rb") as handle:
            # Shared, and given back with the file: `locked` knows it from the lock of one that works.
            return not _took(handle, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _took(handle: IO[Any], kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
