"""Digests of files, sizes in words, and writing that is either done or not done."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from base_models.errors import BaseModelError


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def size_in_words(size: int) -> str:
    """A number of bytes as `93 MB` or `1.3 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 999.5e6 else f"{size / 1e6:.0f} MB"


@contextmanager
def written_to(home: Path) -> Generator[None, None, None]:
    """Tell what the disk refuses while something is written into this folder, in a sentence.

    It is for the writing alone: other errors of the system would be told as the folder's, too.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BaseModelError(
                f"The disk with {home} is full; make room, or set TINKER_LOCAL_MODELS to another disk."
            ) from error
        raise BaseModelError(
            f"{home} cannot be written ({error.strerror or error}); "
            "set TINKER_LOCAL_MODELS to another folder."
        ) from error


def move_into_place(temporary: Path, target: Path) -> None:
    """Give a file that was written elsewhere on the same disk its name, once its bytes are on that disk.

    After a loss of power there is the whole file under `target`, or what was there before.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        # Only an empty folder can be removed, so this does something where the file did not arrive.
        with suppress(OSError):
            target.parent.rmdir()


@contextmanager
def written_whole(target: Path) -> Generator[Path, None, None]:
    """A name in the target's folder to write to; the file gets its own name once the block has ended well.

    The name ends as the target's does, since some libraries go by that. After a failure, or a loss of
    power, there is what was there before.
    """
    temporary = target.with_name(f".partial-{os.getpid()}-{target.name}")
    try:
        yield temporary
        move_into_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, since a rename is only there once its folder is; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
