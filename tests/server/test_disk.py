"""A disk that is full or refuses fails the one request, with a reason, and leaves nothing behind."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest

from http_in_process import serving
from raw_client import FailedError, RawClient, RawRun, ServerProcess, tokens_of_step
from tinker_local.service.checkpoints import CheckpointStore

LARGEST_FILE = 4096
"""Bytes that the limited server may write to one file; an adapter of the tiny model has more."""


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def fill(file: Path) -> None:
    """Write until the file system has no room left."""
    with suppress(OSError), file.open("wb") as opened:
        while True:
            os.write(opened.fileno(), bytes(4096))


def assert_save_fails_alone(run: RawRun, home: Path, reason: str) -> None:
    """The save is told to have failed, the run trains on, and the disk holds nothing of it."""
    run.step(tokens_of_step(0))
    before = sorted(home.rglob("*"))
    with pytest.raises(FailedError, match=f"could not be saved .*{reason}") as caught:
        run.save("full")
    assert caught.value.category == "user"
    assert sorted(home.rglob("*")) == before
    run.step(tokens_of_step(1))


def test_a_full_disk_fails_the_save_alone(tiny_model: Path, tmp_path: Path):
    """Where a file cannot grow, the save fails, nothing partial stays, and the server goes on."""
    with ServerProcess(tiny_model, tmp_path, limit_files) as server, RawClient(server) as client:
        run = client.create()
        assert_save_fails_alone(run, tmp_path, "File too large")
        assert server.running
        assert list(CheckpointStore(tmp_path).list()) == []


def test_an_unwritable_folder_fails_the_save_alone(tiny_model: Path, tmp_path: Path):
    """A file where a folder should be fails the save; once it has gone, saving works."""
    with serving(tiny_model, tmp_path) as server, RawClient(server) as client:
        run = client.create()
        (tmp_path / "runs").write_text("a file where a folder should be")
        assert_save_fails_alone(run, tmp_path, "Not a directory")
        (tmp_path / "runs").unlink()
        path = run.save("works")
        assert [info.path for info in CheckpointStore(tmp_path).list()] == [path]


def test_space_that_comes_back_is_used(tiny_model: Path, tiny_disk: Path):
    """Saves fail once a real file system is full; what was saved loads, and saving works with new space."""
    with serving(tiny_model, tiny_disk) as server, RawClient(server) as client:
        run = client.create()
        kept = run.save("kept")
        filler = tiny_disk / "filler"
        fill(filler)
        assert_save_fails_alone(run, tiny_disk, "No space left")
        client.resume(kept).step(tokens_of_step(0))
        filler.unlink()
        client.resume(run.save("again"))
