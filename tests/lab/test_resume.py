"""Whatever ends a run, resuming it gives the metrics of a run that nothing disturbed.

RESUME_KILLS sets how often the trainer is killed, for more deaths than the suite has time for.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from command_in_process import in_process, server_over
from symptoms.service import LocalServer
from training_runs import HELD_OUT_WORDS, command, environment, lines_of, summary_of, write_examples
from waiting import PATIENCE, wait_until

KILLS = int(os.environ.get("RESUME_KILLS", "3"))
SETTINGS = (
    "--data", "train.jsonl", "--dev", "dev.jsonl", "--steps", "100", "--batch-size", "2",
    "--gradient-accumulation", "2", "--warmup-steps", "5", "--learning-rate", "0.01",
    "--learning-rate-schedule", "cosine", "--evaluate-every", "8", "--checkpoint-every", "6",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, in which all runs of these tests lie."""
    folder = tmp_path_factory.mktemp("resume")
    write_examples(folder / "train.jsonl", 22)
    write_examples(folder / "dev.jsonl", 4, words=HELD_OUT_WORDS)
    return folder


@pytest.fixture(scope="module")
def beside(folder: Path, tiny_model: Path) -> Iterator[LocalServer]:
    """A server over the same checkpoints, for what nothing happens to."""
    with server_over(folder, str(tiny_model)) as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(folder: Path, beside: LocalServer) -> Path:
    """The folder, in which a run named so has come to its end."""
    done = train(folder, *SETTINGS, "--base-model", beside.base_model, "--run", "undisturbed", server=beside)
    assert done.returncode == 0, done.stderr
    return folder


def train(
    folder: Path, *arguments: str, server: LocalServer | None = None
) -> subprocess.CompletedProcess[str]:
    """A training that nothing happens to, on a server of its own where none is told."""
    return in_process(folder, "train", *arguments, server=server)


@contextmanager
def training(folder: Path, *arguments: str, run: str) -> Iterator[subprocess.Popen[str]]:
    """A trainer in a process of its own, once it has done a step that was not there before."""
    metrics = folder / "runs" / run / "metrics.jsonl"
    before = metrics.stat().st_mtime_ns if metrics.exists() else 0
    with subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as trainer:
        wait_until(
            lambda: trainer.poll() is not None or (metrics.exists() and metrics.stat().st_mtime_ns > before),
            "a step",
        )
        try:
            yield trainer
        finally:
            trainer.kill()


def wait_for_steps(trainer: subprocess.Popen[str], folder: Path, name: str, more: int) -> None:
    """Until a run has so many more steps than now, or has ended."""

    def steps() -> int:
        return (folder / "runs" / name / "metrics.jsonl").read_bytes().count(b"\n")

    wanted = steps() + more
    wait_until(lambda: trainer.poll() is not None or steps() >= wanted, f"{more} more steps")


def check(folder: Path, name: str) -> None:
    """The run equals the undisturbed one in every step, evaluation and kept checkpoint."""
    for file in ("metrics.jsonl", "dev_metrics.jsonl"):
        assert lines_of(folder, name, file) == lines_of(folder, "undisturbed", file)
    ours, theirs = summary_of(folder, name), summary_of(folder, "undisturbed")
    assert [ours[key] for key in ("final_loss", "best_step", "num_steps")] == [
        theirs[key] for key in ("final_loss", "best_step", "num_steps")
    ]
    ours, theirs = (
        [(line["step"], line["kind"]) for line in lines_of(folder, run, "checkpoints.jsonl")]
        for run in (name, "undisturbed")
    )
    assert ours == theirs


def start(tiny_model: Path, name: str) -> tuple[str, ...]:
    return (*SETTINGS, "--base-model", str(tiny_model), "--run", name)


@pytest.mark.timeout(1800 + 60 * KILLS)
def test_a_run_killed_at_any_moment_goes_on_exactly(undisturbed: Path, tiny_model: Path, beside: LocalServer):
    """Kill -9 of the trainer at random moments, one after the other, loses no step and does none twice."""
    choose = random.Random(os.environ.get("RESUME_SEED", "0"))
    arguments, kills = start(tiny_model, "killed"), 0
    while kills < KILLS:
        with training(undisturbed, *arguments, run="killed") as trainer:
            wait_for_steps(trainer, undisturbed, "killed", choose.randrange(2 * 100 // (KILLS + 1)))
            # Anywhere in what a step and its keeping take.
            time.sleep(choose.uniform(0, 0.1))
            if trainer.poll() is not None:
                break
            trainer.kill()
        kills += 1
        arguments = ("--resume", "killed")
    if kills == KILLS:
        done = train(undisturbed, *arguments, server=beside)
        assert done.returncode == 0, done.stderr
    print(f"{kills} kills")
    assert kills
    check(undisturbed, "killed")


def test_a_run_whose_server_was_killed_goes_on_exactly(undisturbed: Path, tiny_model: Path):
    """When the server dies the trainer ends with a sentence, and resuming brings a new server."""
    with training(undisturbed, *start(tiny_model, "orphan"), run="orphan") as trainer:
        [server] = psutil.Process(trainer.pid).children()
        server.kill()
        output, _ = trainer.communicate()
    assert trainer.returncode == 3
    assert "The local server ended while it was in use" in output
    assert "'symptoms train --resume orphan' goes on" in output
    assert "Traceback" not in output
    done = train(undisturbed, "--resume", "orphan")
    assert done.returncode == 0, done.stderr
    check(undisturbed, "orphan")


def test_a_run_is_trained_by_one_process_at_a_time(undisturbed: Path, tiny_model: Path, beside: LocalServer):
    """Resuming what another process trains is refused; once that is killed, nothing is in the way."""
    with training(undisturbed, *start(tiny_model, "twice"), run="twice") as trainer:
        # Stopped, it stays in the way however long the other one takes.
        trainer.send_signal(signal.SIGSTOP)
        refused = train(undisturbed, "--resume", "twice", server=beside)
        trainer.kill()
    assert refused.returncode == 1
    assert f"The run twice is being worked on by process {trainer.pid}" in refused.stderr
    done = train(undisturbed, "--resume", "twice", server=beside)
    assert done.returncode == 0, done.stderr
    check(undisturbed, "twice")


def test_ctrl_c_saves_the_last_step(undisturbed: Path, tiny_model: Path, beside: LocalServer):
    """Ctrl-C finishes what is under way, saves it, and says how to go on; nothing is done again then."""
    with training(undisturbed, *start(tiny_model, "paused"), run="paused") as trainer:
        trainer.send_signal(signal.SIGINT)
        output, _ = trainer.communicate()
    assert trainer.returncode == 130
    steps = len(lines_of(undisturbed, "paused"))
    assert steps < 100
    assert f"Stopped after step {steps} of 100; go on with: symptoms train --resume paused" in output
    assert "Traceback" not in output
    kept = (undisturbed / "runs/paused/metrics.jsonl").read_text()
    done = train(undisturbed, "--resume", "paused", server=beside)
    assert done.returncode == 0, done.stderr
    assert (undisturbed / "runs/paused/metrics.jsonl").read_text().startswith(kept)
    for file in ("metrics.jsonl", "dev_metrics.jsonl"):
        assert lines_of(undisturbed, "paused", file) == lines_of(undisturbed, "undisturbed", file)


def test_ctrl_c_twice_stops_at_once(undisturbed: Path, tiny_model: Path):
    """The second Ctrl-C does not wait, and leaves no server behind."""
    with training(undisturbed, *start(tiny_model, "hasty"), run="hasty") as trainer:
        children = psutil.Process(trainer.pid).children(recursive=True)
        for _ in range(2):
            trainer.send_signal(signal.SIGINT)
            time.sleep(0.01)
        output, _ = trainer.communicate()
    assert trainer.returncode == 130
    assert "Traceback" not in output
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert (undisturbed / "runs/hasty/manifest.json").exists()


@pytest.mark.parametrize("moment", ["finished", "changed data", "not ours", "unknown"])
def test_what_cannot_be_resumed_is_told(moment: str, undisturbed: Path, tmp_path: Path):
    """A finished run, changed data, a run of the flat script and an unknown name end in a sentence."""
    if moment != "unknown":
        (tmp_path / "runs").mkdir()
        copy = tmp_path / "runs/copy"
        copy.mkdir()
        for file in (undisturbed / "runs/undisturbed").iterdir():
            if file.is_file() and (moment == "finished" or file.name != "summary.json"):
                (copy / file.name).write_bytes(file.read_bytes())
        if moment == "not ours":
            manifest = json.loads((copy / "manifest.json").read_text())
            del manifest["num_steps"]
            (copy / "manifest.json").write_text(json.dumps(manifest))
        write_examples(tmp_path / "train.jsonl", 21)
        write_examples(tmp_path / "dev.jsonl", 4, words=HELD_OUT_WORDS)
    sentence = {
        "finished": "The run copy is finished",
        "changed data": "train.jsonl has changed since the run copy",
        "not ours": "is of train_mental_health.py, which keeps nothing to resume from",
        "unknown": "There is no run 'copy'",
    }[moment]
    done = train(tmp_path, "--resume", "copy")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
