"""Folders that are written whole or not at all, and that survive a crash once they are written."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from base_models.files import sync_folder

PARTIAL, REPLACED, DELETED = ".partial-", ".replaced-", ".deleted-"
"""How the names of folders begin that are being written, about to be replaced, about to go."""
ABANDONED_SECONDS = 3600.0
"""A folder half written for this long has lost its writer; younger ones may be another server's."""


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write files under a temporary name, flush them, rename; raises OSError and then leaves nothing."""
    made = _make_folders(target.parent)
    partial = target.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        partial.mkdir()
        for name, data in files.items():
            _write_file(partial / name, data)
        sync_folder(partial)
        _put_in_place(partial, target)
    # Whatever went wrong, memory included, nothing half written stays.
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def _put_in_place(partial: Path, target: Path) -> None:
    """Rename, with what lay there before put aside until the new one is safe; see `recover_folders`."""
    replaced = None
    if target.exists():
        replaced = target.with_name(f"{REPLACED}{target.name}.{uuid.uuid4().hex}")
        target.rename(replaced)
    try:
        partial.rename(target)
    except OSError:
        if replaced is not None:
            replaced.rename(target)
        raise
    sync_folder(target.parent)
    if replaced is not None:
        # The save has succeeded; an old copy that will not go is no reason to say otherwise.
        shutil.rmtree(replaced, ignore_errors=True)


def replace_file(target: Path, data: bytes) -> None:
    """Put other contents in a file's place at once; raises OSError and then leaves the old ones."""
    partial = target.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        _write_file(partial, data)
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _write_file(file: Path, data: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def remove_folder(folder: Path) -> None:
    """Remove a folder and what it holds; raises OSError where it is gone or the disk refuses."""
    # Renamed first, so that a crash midway leaves nothing that looks whole.
    doomed = folder.with_name(f"{DELETED}{uuid.uuid4().hex}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def recover_folders(beside: Iterable[Path]) -> None:
    """Clear up after processes that died: bring back what was being replaced, remove what is partial.

    `beside` are the folders that stand where such may be. Another process may be at work there, so only
    what has no writer any more is touched.
    """
    for folder in beside:
        # Another process's start may be doing the same at this moment.
        with suppress(OSError):
            if folder.name.startswith(REPLACED):
                target = folder.with_name(folder.name.removeprefix(REPLACED).rpartition(".")[0])
                if target.exists():
                    shutil.rmtree(folder)
                else:
                    folder.rename(target)
            elif (
                folder.name.startswith((PARTIAL, DELETED))
                and time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
            ):
                shutil.rmtree(folder)


def _make_folders(folder: Path) -> list[Path]:
    """Create a folder and those above it, each flushed to the disk; returns the new ones."""
    missing = [folder, *folder.parents]
    missing = missing[: next(index for index, path in enumerate(missing) if path.exists())]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)
    return missing[::-1]
