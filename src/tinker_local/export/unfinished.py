"""The folder that an export is written into before it is done, which nobody is to find if it never is."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

NAME = re.compile(r"\.partial-[0-9a-f]{32}")


@contextmanager
def unfinished_folder(final: Path) -> Generator[Path, None, None]:
    """A new folder beside `final`, removed at the end unless it was renamed.

    What exports left there that were killed is removed first: a folder that no living process holds. The
    operating system lets go of it however its holder ends. Raises OSError where the disk refuses.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(final.parent)
    folder = final.with_name(f".partial-{uuid.uuid4().hex}")
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_left_over(parent: Path) -> None:
    for folder in parent.iterdir():
        if NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            held = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                # Another export is writing it.
                pass
            finally:
                os.close(held)
