"""Whether a run is being worked on is seen without being in anybody's way."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from symptoms.errors import RunError
from symptoms.runs import RunDirectory
from waiting import wait_until

HOLD = """
import sys, time
from pathlib import Path
from symptoms.runs import RunDirectory
with RunDirectory(Path(sys.argv[1])).held():
    time.sleep(600)
"""


def test_a_run_is_held_until_its_process_ends(tmp_path: Path):
    """Also where that was killed; looking leaves no lock behind."""
    run = RunDirectory(tmp_path)
    assert not run.is_held
    assert not (tmp_path / "lock").exists()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)]) as holder:
        try:
            wait_until(lambda: run.is_held, "the run to be held")
            with pytest.raises(RunError, match=f"worked on by process {holder.pid}"), run.held():
                pass
            assert run.is_held
        finally:
            holder.kill()
    assert not run.is_held
    with run.held():
        assert run.is_held


def test_who_looks_is_no_reason_to_refuse_a_training(tmp_path: Path):
    """It begins when the look is over, and is refused only for another that works."""
    run = RunDirectory(tmp_path)
    with run.held(), pytest.raises(RunError, match="being worked on"), run.held():
        pass
    with open(tmp_path / "lock", "rb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        looks_away = threading.Timer(0.1, lambda: fcntl.flock(looked_at, fcntl.LOCK_UN))
        looks_away.start()
        with run.held():
            assert run.is_held
        looks_away.join()
