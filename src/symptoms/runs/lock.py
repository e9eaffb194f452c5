"""One process at a time: a lock that the operating system takes back however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from symptoms.errors import RunError


@contextmanager
def locked(file: Path, what: str) -> Generator[None, None, None]:
    """Hold a lock file; raises RunError, which begins with `what`, where another process holds it.

    The file stays behind, since deleting it would let two processes hold locks of two files of one name.
    """
    with open(file, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise RunError(
                f"{what} is being worked on by process {holder}; wait until that ends, or stop it."
            ) from error
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield
