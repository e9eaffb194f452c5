"""An export that is killed leaves nothing behind: no folder, no process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from checkpoints_to_export import saved_source
from tinker_local.export import Source, export, general_questions
from tinker_local.export.checking.pace import paced, time_in_words
from tinker_local.export.unfinished import unfinished_folder
from tiny_models import write_tiny_model

MOST_SECONDS = 60
T = TypeVar("T")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM")
    return saved_source(tmp_path / "base", tmp_path / "home")


@contextmanager
def begun(
    source: Source, tmp_path: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process that exports, and the one that it has started to check what was written."""
    # One prompt: our own engine answers all of them before the other program is started.
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("I lie awake")
    command = [
        *(sys.executable, "-m", "tinker_local", "export", source.info.path, "--to", "hf"),
        *("--home", str(tmp_path / "home"), "--output", str(tmp_path / "out" / "mine")),
        *("--prompts", str(prompts), *more),
    ]
    with (
        (tmp_path / "said.txt").open("w") as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            yield process, waited_for(lambda: psutil.Process(process.pid).children())[0]
        finally:
            process.kill()


def waited_for(found: Callable[[], T]) -> T:
    """What counts as true, once it does."""
    end = time.monotonic() + MOST_SECONDS
    while not (there := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return there


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


# The parent's end comes as SIGTERM, which the export sends to itself.
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGHUP, "the parent's end"])
def test_an_export_that_is_told_to_end_leaves_nothing(
    way: signal.Signals | str, source: Source, tmp_path: Path
):
    """By a signal, or by its parent, whose pipe closes: the folder is gone, and the reader with it."""
    with begun(source, tmp_path, "--stop-with-stdin") as (process, reader):
        if isinstance(way, str):
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(way)
        assert process.wait(MOST_SECONDS) == 130
        assert (tmp_path / "said.txt").read_text().endswith("Interrupted.\n")
        waited_for(lambda: ended(reader))
        assert list((tmp_path / "out").iterdir()) == []


def test_the_reader_ends_with_an_export_that_was_killed_and_the_next_one_clears_away(
    source: Source, tmp_path: Path
):
    """SIGKILL leaves its folder; no process works on, and the next export beside removes what is left."""
    with begun(source, tmp_path) as (process, reader):
        process.kill()
        process.wait(MOST_SECONDS)
        waited_for(lambda: ended(reader))
    [left] = (tmp_path / "out").iterdir()
    assert left.name.startswith(".partial-")
    questions = general_questions(source.base.tokenizer, ["I lie awake"])
    export(source, "hf", None, tmp_path / "out" / "next", questions, checked=False)
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["next"]


def test_what_another_export_is_writing_stays(tmp_path: Path):
    """Two at once do not clear each other's folder away, and other people's folders are none of theirs."""
    (tmp_path / ".partial-mine").mkdir()
    with unfinished_folder(tmp_path / "one") as one, unfinished_folder(tmp_path / "other") as other:
        assert one.is_dir()
        assert other.is_dir()
    assert os.listdir(tmp_path) == [".partial-mine"]


def test_what_is_left_of_a_stage_is_told_by_its_pace(monkeypatch: pytest.MonkeyPatch):
    """After 2 of 20 in 30 seconds another four and a half minutes; a rest of seconds is not told."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    told: list[str] = []
    done = paced(told.append, "asking llama.cpp", 20)
    now[0] += 30
    done(2)
    now[0] += 3
    done(20)
    assert told == ["asking llama.cpp, 2 of 20, about 4 min left", "asking llama.cpp, 20 of 20"]
    assert (time_in_words(61), time_in_words(7200)) == ("61 s", "2.0 h")
