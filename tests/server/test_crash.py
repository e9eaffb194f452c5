"""What was acknowledged survives the server's death, and training goes on from it exactly.

`make soak` sets SOAK_KILLS, for many more deaths than the suite has time for.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from raw_client import RawClient, RawRun, ServerProcess, tokens_of_step
from tinker_local.service.checkpoints import CheckpointStore, parse_path

KILLS = int(os.environ.get("SOAK_KILLS", "2"))
STEPS = 60
"""Length of the uninterrupted run that everything is compared with."""


@dataclass
class Saved:
    """What the server acknowledged: paths with the number of steps they hold."""

    steps: dict[str, int] = field(default_factory=dict[str, int])
    # An overwritten name may hold the state whose save was cut short, if that came far enough.
    attempted: dict[str, int] = field(default_factory=dict[str, int])

    def note(self, run: RawRun, name: str, step: int) -> None:
        """Save, and note the state as acknowledged once the server says so."""
        self.attempted[f"tinker://{run.model_id}/weights/{name}"] = step
        self.steps[run.save(name, overwrite=True)] = step


@dataclass(frozen=True)
class Uninterrupted:
    """A run that nothing disturbs: its server's home, its losses and the path of its state after 20 steps."""

    home: Path
    losses: list[float]
    twenty: str


@pytest.fixture(scope="module")
def uninterrupted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    home = tmp_path_factory.mktemp("home")
    with ServerProcess(tiny_model, home) as server, RawClient(server) as client:
        run = client.create()
        losses = [run.step(tokens_of_step(step)) for step in range(20)]
        twenty = run.save("twenty")
        losses += [run.step(tokens_of_step(step)) for step in range(20, STEPS)]
        return Uninterrupted(home, losses, twenty)


def train_until_killed(server: ServerProcess, saved: Saved, choose: random.Random) -> None:
    """Train from a random state, saving after every step, until the server dies."""
    with RawClient(server) as client:
        # The first work is slow, since it loads code, and a death during it would show little.
        saved.note(client.create(), "untrained", 0)
        threading.Timer(choose.uniform(0.0, 1.0), server.kill).start()
        with pytest.raises(httpx.TransportError):
            train_and_save(client, saved, choose)


def train_and_save(client: RawClient, saved: Saved, choose: random.Random) -> NoReturn:
    while True:
        start = choose.choice(list(saved.steps))
        step, run = saved.steps[start], client.resume(start)
        while step < STEPS - 2:
            run.step(tokens_of_step(step))
            step += 1
            saved.note(run, "latest" if step % 2 else f"step-{step}", step)


def check(server: ServerProcess, home: Path, saved: Saved, losses: list[float]) -> int:
    """Load every acknowledged state and compare the steps that follow; returns how many there were."""
    store = CheckpointStore(home)
    listed = {info.path for info in store.list()}
    assert listed >= set(saved.steps)
    for path in listed:
        store.load_optimizer(parse_path(path))
    with RawClient(server) as client:
        for path, step in saved.steps.items():
            first = client.resume(path).gradients(tokens_of_step(step))
            latest = saved.attempted[path]
            if latest != step and first != pytest.approx(losses[step], rel=0, abs=1e-6):
                step = saved.steps[path] = latest
                first = client.resume(path).gradients(tokens_of_step(step))
            assert first == pytest.approx(losses[step], rel=0, abs=1e-6)
            again = client.resume(path)
            assert [again.step(tokens_of_step(step + more)) for more in range(2)] == pytest.approx(
                losses[step : step + 2], rel=0, abs=1e-6
            )
        client.finish()
    return len(saved.steps)


@pytest.mark.timeout(1800 + 60 * KILLS)
def test_acknowledged_states_survive_kills(tiny_model: Path, tmp_path: Path, uninterrupted: Uninterrupted):
    """After kill -9 at a random moment every acknowledged state loads and trains on as if undisturbed."""
    choose = random.Random(f"kill {os.environ.get('SOAK_SEED', '0')}")
    checked, saved = 0, Saved()
    for kills in range(KILLS + 1):
        with ServerProcess(tiny_model, tmp_path) as server:
            checked += check(server, tmp_path, saved, uninterrupted.losses)
            if kills < KILLS:
                saved = Saved()
                train_until_killed(server, saved, choose)
        if KILLS > 10:
            print(f"{kills} of {KILLS} kills: {checked} acknowledged states loaded and trained on")
    print(f"{KILLS} kills, {checked} acknowledged states, none lost")
    assert checked > KILLS


def test_a_restart_changes_nothing(tiny_model: Path, uninterrupted: Uninterrupted):
    """Steps 21 to 40 after save, restart and resume equal those of the run that went on."""
    with ServerProcess(tiny_model, uninterrupted.home) as server, RawClient(server) as client:
        resumed = client.resume(uninterrupted.twenty)
        assert [resumed.step(tokens_of_step(step)) for step in range(20, 40)] == pytest.approx(
            uninterrupted.losses[20:40], rel=0, abs=1e-6
        )
