"""`symptoms sweep` and `symptoms compare` as a user runs them, on a tiny model behind a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.pipe import peak_memory as peak_so_far
from command_in_process import in_process
from symptoms.cli.app import app
from symptoms.errors import RunError, ServiceError
from symptoms.runs.directory import RunDirectory
from symptoms.runs.lock import locked
from symptoms.service import LocalServer
from tiny_models import write_tiny_llama
from training_runs import COLOURS, HELD_OUT_WORDS, environment, lines_of, write_examples
from waiting import wait_until

PLAN = """
data = "train.jsonl"
dev = "dev.jsonl"
steps = 6
lora_rank = 2
checkpoint_every = 2
evaluate_every = 3
seeds = [0, 1]
[grid]
batch_size = [2, 4]
"""
NAMES = ["batch_size-2-seed0", "batch_size-2-seed1", "batch_size-4-seed0", "batch_size-4-seed1"]
Sweep = Callable[..., None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data and the plan lie, and all runs of these tests."""
    folder = tmp_path_factory.mktemp("sweeps")
    write_examples(folder / "train.jsonl", 16)
    write_examples(folder / "dev.jsonl", 4, words=HELD_OUT_WORDS)
    (folder / "plan.toml").write_text(PLAN)
    return folder


@pytest.fixture
def sweep(folder: Path, server: LocalServer, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """The command in this process, on a server that runs already."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)

    def command(*arguments: str) -> None:
        where = ("--service", server.url, "--base-model", str(tiny_model))
        app(["sweep", *arguments, *where], standalone_mode=False)

    return command


@pytest.fixture
def done(folder: Path, sweep: Sweep) -> Path:
    """A folder in which the sweep `done` has come to its end."""
    if not (folder / "runs/done/sweep.json").exists():
        sweep("plan.toml", "--name", "done")
    return folder


def states(folder: Path, name: str) -> list[str]:
    record = json.loads((folder / "runs" / name / "sweep.json").read_text())
    return [entry["outcome"]["state"] for entry in record["runs"]]


def test_every_run_of_a_sweep_is_a_run(done: Path, capsys: pytest.CaptureFixture[str]):
    """Each has its settings and a summary, is listed, and sweep.json has what came of it."""
    assert states(done, "done") == ["finished"] * 4
    for name in NAMES:
        found = RunDirectory(done / "runs/done" / name)
        assert found.is_finished
        assert f"batch_size-{found.settings().batch_size}-seed{found.settings().seed}" == name
        assert len(found.metrics()) == 6
    app(["runs", "list"], standalone_mode=False)
    said = capsys.readouterr().out
    assert all(f"done/{name}" in said for name in NAMES)


def test_the_end_of_a_run_is_told_as_by_train(folder: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]):
    """Over which steps its final loss is the mean, which is no epoch where less than one was trained."""
    (folder / "within.toml").write_text(PLAN.replace("steps = 6", "steps = 3").replace("[0, 1]", "[0]"))
    sweep("within.toml", "--name", "within")
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("(the mean over all steps)") == 2
    summary = RunDirectory(folder / "runs/within/batch_size-2-seed0").summary()
    assert summary["final_loss_is"] == "the mean over all steps"
    assert f"final loss {summary['final_loss']:.3f} (the mean over all steps)" in said


def test_a_run_of_a_sweep_is_that_of_train(done: Path, server: LocalServer, tiny_model: Path):
    """The same settings alone give the same metrics, so sharing a server changes nothing."""
    app(
        [
            "train", "--data", "train.jsonl", "--dev", "dev.jsonl", "--steps", "6", "--lora-rank", "2",
            "--evaluate-every", "3", "--batch-size", "4", "--seed", "1", "--run", "alone",
            "--service", server.url, "--base-model", str(tiny_model),
        ],
        standalone_mode=False,
    )  # fmt: skip
    assert lines_of(done, "alone") == lines_of(done, f"done/{NAMES[3]}")


def test_runs_are_evaluated_where_that_is_asked_for(folder: Path, sweep: Sweep):
    """Each run gets its figures on the test set, and one whose evaluation is missing is only evaluated."""
    texts = (
        "nobody came to supper",
        "the roof leaks again",
        "seven letters arrived",
        "two buses never stopped",
    )
    lines = [
        {"input": text, "condition": colour, "symptoms": ["tired"], "recommendation": "Rest."}
        for text, colour in zip(texts, COLOURS, strict=True)
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wanted = ("--data", "train.jsonl", "--dev", "dev.jsonl", "--steps", "2", "--set", "lora_rank=2,4")
    sweep(*wanted, "--evaluate", "test.jsonl", "--name", "tested")
    record = json.loads((folder / "runs/tested/sweep.json").read_text())
    figures = {entry["name"]: entry["outcome"]["test"] for entry in record["runs"]}
    assert [figure["n"] for figure in figures.values()] == [4, 4]
    files = {name: folder / "runs/tested" / name / "evaluation.json" for name in figures}
    for name, file in files.items():
        assert json.loads(file.read_text())["brier"] == figures[name]["brier"]
    first, second = files.values()
    times = [(file.parent / "metrics.jsonl").stat().st_mtime_ns for file in files.values()]
    kept = second.stat().st_mtime_ns
    first.unlink()
    sweep(*wanted, "--evaluate", "test.jsonl", "--name", "tested")
    # Which texts are batched together may move the last digits.
    assert json.loads(first.read_text())["brier"] == pytest.approx(
        figures[first.parent.name]["brier"], rel=1e-5
    )
    assert second.stat().st_mtime_ns == kept
    assert [(file.parent / "metrics.jsonl").stat().st_mtime_ns for file in files.values()] == times


def test_what_is_finished_is_not_done_again(done: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]):
    """A sweep that is called again trains only what its plan has gained."""
    files = [done / "runs/done" / name / "metrics.jsonl" for name in NAMES]
    before = [file.stat().st_mtime_ns for file in files]
    sweep("plan.toml", "--name", "done", "--seeds", "3")
    assert states(done, "done") == ["finished"] * 6
    assert "batch_size-2-seed2: finished" in capsys.readouterr().out
    assert before == [file.stat().st_mtime_ns for file in files]
    with pytest.raises(RunError, match=r"has a run batch_size-2-seed0 with other settings"):
        sweep("plan.toml", "--name", "done", "--steps", "7")


def test_runs_beside_each_other_are_the_same_runs(done: Path, sweep: Sweep):
    """`--at-once` changes the time that it takes, and no metric."""
    sweep("plan.toml", "--name", "beside", "--at-once", "3")
    assert states(done, "beside") == ["finished"] * 4
    for name in NAMES:
        assert lines_of(done, f"beside/{name}") == lines_of(done, f"done/{name}")


def test_one_bad_run_does_not_stop_the_others(done: Path, sweep: Sweep):
    """It is told at the end, and tried again when the sweep is called again."""
    sweep("plan.toml", "--name", "bad", "--set", "batch_size=4", "--seeds", "1")
    held = done / "runs/bad/base-seed0"
    # As if it had been killed before its end, and was being resumed by someone else.
    (held / "summary.json").unlink()
    with (
        locked(held / "lock", "it"),
        pytest.raises(RunError, match=f"by process {os.getpid()}"),
    ):
        sweep("plan.toml", "--name", "bad", "--set", "batch_size=4", "--seeds", "2")
    assert states(done, "bad") == ["failed", "finished"]
    sweep("plan.toml", "--name", "bad", "--set", "batch_size=4", "--seeds", "2")
    assert states(done, "bad") == ["finished", "finished"]


def test_a_whole_sweep_is_shown_and_removed(done: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]):
    """By its name, with all its runs, but not while someone works on it."""
    sweep("plan.toml", "--name", "short", "--set", "batch_size=4")
    capsys.readouterr()
    app(["runs", "show", "short"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert all(f"short/base-seed{seed}" in shown for seed in (0, 1))
    remove = ["runs", "rm", "short", "--yes"]
    with (
        locked(done / "runs/short/lock", "it"),
        pytest.raises(RunError, match="being worked on by process"),
    ):
        app(remove, standalone_mode=False)
    assert (done / "runs/short/base-seed1").exists()
    app(remove, standalone_mode=False)
    assert "with 2 runs" in capsys.readouterr().out
    assert not (done / "runs/short").exists()


def test_a_folder_is_what_it_is_and_not_what_bears_its_name(done: Path, sweep: Sweep):
    """A sweep is removed by its folder, and a run by its own, though a sweep is called as that run is."""
    sweep("plan.toml", "--name", "short", "--set", "batch_size=4")
    sweep("plan.toml", "--name", "base-seed0", "--set", "batch_size=4", "--seeds", "1")
    app(["runs", "rm", "runs/short/base-seed0", "--yes"], standalone_mode=False)
    assert not (done / "runs/short/base-seed0").exists()
    assert (done / "runs/base-seed0/sweep.json").exists()
    for name in ("short", "base-seed0"):
        app(["runs", "rm", f"runs/{name}", "--yes"], standalone_mode=False)
        assert not (done / "runs" / name).exists()


def test_a_sweep_is_worked_through_by_one_process(done: Path, sweep: Sweep):
    """A second one is refused before it can touch a run."""
    with (
        locked(done / "runs/done/lock", "it"),
        pytest.raises(RunError, match="The sweep done is being"),
    ):
        sweep("plan.toml", "--name", "done")


def test_a_model_that_is_not_on_offer_is_refused_at_once(
    folder: Path, server: LocalServer, tiny_model: Path, sweep: Sweep
):
    """One sentence says what the service has instead, and no run is begun."""
    wanted = f"base_model={tiny_model},none/such-8B"
    where = ["--service", server.url, "--data", "train.jsonl"]
    with pytest.raises(ServiceError, match=r"does not offer none/such-8B; choose .*NAME,NAME: \S*tiny"):
        app(["sweep", "--preset", "larger-models", "--set", wanted, *where], standalone_mode=False)
    assert not list((folder / "runs/larger-models").glob("*/manifest.json"))


def test_a_dry_run_counts_and_trains_nothing(folder: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]):
    """Every run stands there with its steps and examples, and the sum below."""
    sweep("plan.toml", "--name", "dry", "--dry-run", "--set", "examples_per_condition=1,4")
    said = capsys.readouterr().out
    assert "8 runs, 48 steps over" in said
    line = next(line for line in said.splitlines() if "batch_size-2-examples_per_condition-1-seed0" in line)
    assert line.split()[1:3] == ["6", "4"]
    assert not (folder / "runs/dry").exists()


def test_compare_shows_what_differs(done: Path, capsys: pytest.CaptureFixture[str]):
    """Seeds become one row with their spread; the page needs no network; the data are the runs' own."""
    app(["compare", "done", "--html", "page.html"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "batch size 2" in said
    assert "Settings that differ: batch_size." in said
    page = (done / "page.html").read_text()
    assert page.count("<svg") == 2
    assert "src=" not in page
    assert 'href="http' not in page
    app(["compare", *(f"done/{name}" for name in NAMES), "--json"], standalone_mode=False)
    data = json.loads(capsys.readouterr().out)
    assert data["differing_settings"] == ["batch_size"]
    assert [[one["seed"] for one in group["runs"]] for group in data["groups"]] == [[0, 1], [0, 1]]
    files = [done / "runs/done" / name / "summary.json" for name in NAMES]
    losses = [json.loads(file.read_text())["final_loss"] for file in files]
    spread = data["groups"][1]["final_loss"]
    assert spread["mean"] == pytest.approx(sum(losses[2:]) / 2)
    assert (spread["low"], spread["high"]) == (min(losses[2:]), max(losses[2:]))


def test_a_killed_sweep_goes_on_exactly(done: Path, tiny_model: Path):
    """Kill -9 in the midst of a run loses nothing: all metrics are those of a sweep left alone."""
    command = [sys.executable, "-m", "symptoms", "sweep", "plan.toml", "--name", "killed"]
    begun = [*command, "--base-model", str(tiny_model), "--service", "local"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(begun, cwd=done, env=environment(done), stdout=quiet, stderr=quiet) as trainer:
        second = done / "runs/killed" / NAMES[1] / "metrics.jsonl"
        wait_until(lambda: second.exists() or trainer.poll() is not None, "the second run's first step")
        trainer.kill()
    assert states(done, "killed")[:3] == ["finished", "training", "waiting"]
    resumed = in_process(done, "sweep", "--resume", "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert states(done, "killed") == ["finished"] * 4
    for name in NAMES:
        for file in ("metrics.jsonl", "dev_metrics.jsonl"):
            assert lines_of(done, f"killed/{name}", file) == lines_of(done, f"done/{name}", file)


def peak_memory(folder: Path, *arguments: str) -> int:
    """The most bytes that the command had in memory, and the most that its server had."""
    most: dict[int, int] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "symptoms", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            for pid, peak in _peaks(psutil.Process(process.pid)):
                most[pid] = max(most.get(pid, 0), peak)
            time.sleep(0.1)
    assert process.returncode == 0
    return sum(most.values())


def _peaks(process: psutil.Process) -> Iterator[tuple[int, int]]:
    try:
        for one in (process, *process.children(recursive=True)):
            # As Linux noted it, as a short step falls between two looks; elsewhere what it is now.
            yield one.pid, peak_so_far(one.pid) or one.memory_info().rss
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return


def test_a_sweep_needs_little_more_memory_than_one_run(folder: Path):
    """Eight runs reach at most 1.3 times what one reaches, with adapters that would show if they stayed."""
    # Four and a half million trained numbers, which with gradient and Adam's two are 72 MB a run.
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2}
    write_tiny_llama(folder / "wide", **sizes)
    common = ("--data", "train.jsonl", "--steps", "1", "--lora-rank", "512", "--base-model", "wide")
    one = peak_memory(folder, "train", *common, "--batch-size", "2", "--run", "single")
    eight = peak_memory(
        folder, "sweep", *common, "--set", "batch_size=1,2", "--set", "learning_rate=1e-4,1e-3",
        "--seeds", "2", "--name", "eight",
    )  # fmt: skip
    assert states(folder, "eight") == ["finished"] * 8
    print(f"one run {one / 1e6:.0f} MB, eight {eight / 1e6:.0f} MB, {eight / one:.2f} times")
    assert eight <= 1.3 * one
