"""Two servers on one machine leave each other the processor while they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from raw_client import RawClient, ServerProcess
from tinker_local.engine.neighbours import Crowding, chosen_spins

LONG = [number % 8000 for number in range(7, 707)]
"""Tokens enough for a step of the bundled model to be given all cores."""
STEPS = 2


@contextmanager
def training(home: Path, cores: set[int], threads: int) -> Generator[Callable[[], float], None, None]:
    """A server on these cores; what is yielded takes steps and gives the seconds of processor time of one."""
    settings = {"OMP_NUM_THREADS": str(threads)}
    with (
        ServerProcess("symptoms-base", home, lambda: os.sched_setaffinity(0, cores), settings) as server,
        RawClient(server) as client,
    ):
        process, run = psutil.Process(server.pid), client.create()

        def seconds_a_step() -> float:
            before = process.cpu_times()
            for _ in range(STEPS):
                run.step(LONG)
            after = process.cpu_times()
            return (after.user + after.system - before.user - before.system) / STEPS

        seconds_a_step()
        yield seconds_a_step


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_two_servers_at_once_do_not_spin_the_processor_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A step of two servers at once takes no more than twice the processor time of one without barriers.

    Processor time, since it is hardly changed by what else the machine does. With threads that spin it is
    more than five times as much.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        pytest.skip("on one core the library's threads never spin for long")
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:
        one, other = [stack.enter_context(training(tmp_path / name, set(cores), threads=2)) for name in "ab"]
        single = stack.enter_context(training(tmp_path / "c", set(cores), threads=1))
        without_barriers = single()
        with ThreadPoolExecutor() as pool:
            # By their first steps at once the servers tell that they are not alone.
            for _ in range(2):
                at_once = list(pool.map(lambda step: step(), (one, other)))
    assert max(at_once) < 2 * without_barriers


def test_neighbours_are_seen_while_threads_wait_for_cores_and_no_longer():
    """Two threads that wait a fifth of the time each have neighbours, which are gone once they seldom do."""
    crowding = Crowding(threads=2)
    seen = [crowding.look(now, waited) for now, waited in enumerate((7.0, 7.1, 7.5, 7.7, 7.8, 8.0))]
    assert seen == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("set_by_user", "spins"),
    [({}, chosen_spins()), ({"GOMP_SPINCOUNT": "7"}, 7), ({"OMP_WAIT_POLICY": "passive"}, 0)],
)
def test_the_library_takes_the_setting(set_by_user: dict[str, str], spins: int, tmp_path: Path):
    """The library that torch brings is told by the time it is loaded, and keeps what the user has set."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    started = subprocess.run(
        [sys.executable, "-m", "tinker_local", "serve", "--base-model", str(tmp_path), "--port", "0"],
        env={**kept, **set_by_user, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "GOMP_SPINCOUNT" not in started.stderr:
        pytest.skip("torch brings another library here")
    assert f"GOMP_SPINCOUNT = '{spins}'" in started.stderr
