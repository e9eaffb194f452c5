"""The experiment as a user runs it: the script, its run directory, and the commands after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import symptoms
from command_in_process import in_process, server_over
from conftest import ROOT
from symptoms.data import parse_assessment
from symptoms.errors import InputError
from symptoms.service import LocalServer
from waiting import PATIENCE, wait_until

METRICS = ("step", "epoch", "loss", "learning_rate", "num_tokens", "num_trained_tokens", "seconds")


def environment(home: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TINKER_") or name == "TINKER_LOCAL_MODELS"
    }
    return {**kept, "TINKER_LOCAL_HOME": str(home), "COLUMNS": "100"}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(folder / "home"),
        capture_output=True,
        text=True,
        check=False,
    )


def small_data(folder: Path, epochs: int = 2) -> Path:
    """Four examples of the real file and few epochs."""
    document = json.loads((ROOT / "mental_health_data.json").read_text())
    document["examples"] = document["examples"][:4]
    document["config"].update(epochs=epochs, test_examples=[1])
    file = folder / "small.json"
    file.write_text(json.dumps(document))
    return file


def metrics_of(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / "runs" / name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


SCRIPT = str(ROOT / "train_mental_health.py")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which the whole experiment has run as the README says."""
    folder = tmp_path_factory.mktemp("experiment")
    return folder, run(folder, SCRIPT, "--data", str(ROOT / "mental_health_data.json"), "--run", "original")


@pytest.fixture(scope="module")
def beside(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> Iterator[LocalServer]:
    """A server over what was trained, for the commands after it."""
    with server_over(trained[0], "symptoms-base") as server:
        yield server


def test_the_original_experiment_succeeds(trained: tuple[Path, subprocess.CompletedProcess[str]]):
    """600 steps, loss down by at least 94% to at most 0.25, three exact matches."""
    folder, done = trained
    assert done.returncode == 0, done.stderr
    summary = json.loads((folder / "runs/original/summary.json").read_text())
    assert summary["num_steps"] == 600
    assert summary["final_loss"] <= 0.25
    assert summary["reduction"] >= 0.94
    assert [case["match"] for case in summary["test_cases"]] == [True, True, True]
    assert all(case["output"].strip() == case["expected"].strip() for case in summary["test_cases"])
    assert summary["checkpoint"].startswith("tinker://")
    assert summary["checkpoint"] in done.stdout
    assert "exact match" in done.stdout
    assert "medical advice" in done.stdout


def test_the_run_directory_is_complete(trained: tuple[Path, subprocess.CompletedProcess[str]]):
    """Every file of the design is there, and metrics have one line a step with all fields."""
    folder, _ = trained
    directory = folder / "runs/original"
    names = {path.name for path in directory.iterdir()}
    assert names == {
        "config.json", "manifest.json", "metrics.jsonl", "checkpoints.jsonl", "predictions.jsonl",
        "summary.json", "loss.png", "report.html",
    }  # fmt: skip
    metrics = metrics_of(folder, "original")
    assert [line["step"] for line in metrics] == list(range(1, 601))
    assert {line["epoch"] for line in metrics} == set(range(1, 21))
    assert all(tuple(line) == METRICS for line in metrics)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert len(manifest["data_sha256"]) == 64
    assert len(manifest["base_model_sha256"]) == 64
    assert manifest["versions"]["tinker"] == "0.38.0"
    assert (directory / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_assess_answers_from_the_newest_run(
    trained: tuple[Path, subprocess.CompletedProcess[str]], beside: LocalServer
):
    """A trained description gets its label back, and those of its symptoms that it has words for."""
    folder, _ = trained
    example = json.loads((ROOT / "mental_health_data.json").read_text())["examples"][0]
    shown = in_process(folder, "assess", example["input"], server=beside)
    assert shown.returncode == 0, shown.stderr
    assert "The run original is a demonstration: trained on 30 examples" in shown.stdout
    assert "may resemble, without much certainty, Depression" in shown.stdout
    assert "not medical advice" in shown.stdout
    checkpoint = json.loads((folder / "runs/original/summary.json").read_text())["checkpoint"]
    answered = in_process(
        folder, "assess", "--run", checkpoint, "--json", stdin=example["input"], server=beside
    )
    answer = json.loads(answered.stdout)
    assert answer["condition"] == "depression"
    wanted = parse_assessment(example["output"])
    named = [symptom["symptom"] for symptom in answer["key_symptoms"]]
    assert named
    assert set(named) <= set(wanted.symptoms)
    assert wanted.recommendation not in answer["text"], "it was written about another person"
    spans = [span for symptom in answer["key_symptoms"] for span in symptom["evidence"]]
    assert spans
    assert all(example["input"][span["start"] : span["end"]] == span["text"] for span in spans)


def test_the_library_answers_like_the_command(
    trained: tuple[Path, subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
):
    """symptoms.Classifier.load(run).assess(text) gives the assessment; too long a text is told as such."""
    folder, _ = trained
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TINKER_LOCAL_HOME", str(folder / "home"))
    example = json.loads((ROOT / "mental_health_data.json").read_text())["examples"][0]
    with symptoms.Classifier.load("original") as classifier:
        result = classifier.assess(example["input"])
        assert result.condition == "depression"
        assert result.text.splitlines()[0] == example["output"].splitlines()[0]
        with pytest.raises(InputError, match=r"shorten it"):
            classifier.assess("I am tired of everything and nothing helps. " * 200)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which the script has run on a few examples, as `one`."""
    folder = tmp_path_factory.mktemp("small")
    return folder, run(folder, SCRIPT, "--data", str(small_data(folder)), "--run", "one")


def test_one_seed_gives_one_metrics_file(small: tuple[Path, subprocess.CompletedProcess[str]]):
    """Two runs agree in every figure, bit for bit, but for the seconds that a step took."""
    folder, _ = small
    data = str(folder / "small.json")
    assert run(folder, SCRIPT, "--data", data, "--run", "two").returncode == 0
    one, two = (metrics_of(folder, name) for name in ("one", "two"))
    for line in (*one, *two):
        del line["seconds"]
    assert json.dumps(one) == json.dumps(two)
    again = run(folder, SCRIPT, "--data", data, "--run", "one")
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_an_unfinished_result_is_told_honestly(small: tuple[Path, subprocess.CompletedProcess[str]]):
    """A run that ends above the aim says so."""
    _, done = small
    assert done.returncode == 0, done.stderr
    assert "falls short of the original" in done.stdout
    assert "DIFFERENT" in done.stdout


def test_bad_data_stops_before_anything_is_trained(tmp_path: Path):
    """Faults end the script with exit code 2, no traceback and no run directory."""
    (tmp_path / "bad.json").write_text('{"config": {"epochz": 3}, "examples": [{"input": "x"}]}')
    done = run(tmp_path, SCRIPT, "--data", "bad.json")
    assert done.returncode == 2
    assert done.stderr.count("bad.json:1:") == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_too_long_an_example_is_refused(tmp_path: Path, beside: LocalServer):
    """An example over the context is named with its line and both lengths, by the script and by `tokens`."""
    examples = [{"input": "a", "output": "b"}, {"input": "word " * 2000, "output": "b"}]
    (tmp_path / "long.json").write_text(json.dumps({"examples": examples}, indent=1))
    for done in (
        run(tmp_path, SCRIPT, "--data", "long.json"),
        in_process(tmp_path, "tokens", "long.json", "--example", "1", server=beside),
    ):
        assert done.returncode == 2
        assert "long.json:7: tokens: " in done.stderr
        assert "exceed the context of" in done.stderr


def test_tokens_shows_weights_and_counts(tmp_path: Path, beside: LocalServer):
    """The trained part stands in brackets when piped, and the counts add up."""
    done = in_process(tmp_path, "tokens", str(small_data(tmp_path)), "--example", "2", server=beside)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert shown.count("[[") == 2  # the example and the legend
    prompt, trained = shown.split("[[")[0], shown.split("[[")[1].split("]]")[0]
    assert "Assessment" in prompt.replace("|", "")
    assert trained.replace("|", "").startswith(" Primary concern: Depression")
    assert trained.endswith(("⏎⏎", "⏎|⏎"))
    assert "4 examples" in shown


def test_tokens_reads_every_data_file(tmp_path: Path, beside: LocalServer):
    """A table with columns of its own; without advice the concern alone is trained."""
    (tmp_path / "mine.csv").write_text(
        "body;dx;symptoms;recommendation\nI wash all day;ocd;avoidance;Ask a GP.\nNo sleep;insomnia;;\n"
    )
    named = ("--text-column", "body", "--label-column", "dx")
    done = in_process(tmp_path, "tokens", "mine.csv", *named, server=beside)
    assert done.returncode == 0, done.stderr
    whole, part = (one.split("]]")[0].replace("|", "") for one in done.stdout.split("[[")[1:3])
    assert "Key symptoms: avoidance⏎Recommendation: Ask a GP." in whole
    assert part.startswith(" Primary concern: Insomnia")
    assert "Key symptoms" not in part
    assert "2 examples, " in done.stdout


def test_a_server_that_dies_ends_the_training_at_once(tmp_path: Path):
    """When the local server is killed in use, the script says so at once and the run stays readable."""
    data = str(small_data(tmp_path, epochs=2000))
    with start_training(tmp_path, data) as trainer:
        [server] = psutil.Process(trainer.pid).children()
        server.kill()
        output, _ = trainer.communicate()
    assert trainer.returncode == 3
    assert "The local server ended while it was in use" in output
    assert "Traceback" not in output
    assert metrics_of(tmp_path, "cut")


@contextmanager
def start_training(folder: Path, data: str) -> Iterator[subprocess.Popen[str]]:
    """The script in a process of its own, after its first steps."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--data", data, "--run", "cut"],
        cwd=folder,
        env=environment(folder / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as trainer:
        metrics = folder / "runs/cut/metrics.jsonl"
        wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 5, "the first steps")
        try:
            yield trainer
        finally:
            trainer.kill()


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGKILL], [signal.SIGINT, signal.SIGINT]])
def test_interrupted_training_leaves_a_readable_run(tmp_path: Path, signals: list[signal.Signals]):
    """Ctrl-C saves the last finished step; in any case the run is readable and no server is left."""
    data = str(small_data(tmp_path, epochs=2000))
    with start_training(tmp_path, data) as trainer:
        children = psutil.Process(trainer.pid).children(recursive=True)
        assert children
        for one in signals:
            os.kill(trainer.pid, one)
            time.sleep(0.01)
        output, _ = trainer.communicate()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    lines = metrics_of(tmp_path, "cut")
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert "Traceback" not in output
    if signals == [signal.SIGINT]:
        saved = json.loads((tmp_path / "runs/cut/checkpoints.jsonl").read_text())
        assert saved["step"] == len(lines)
        assert saved["path"] in output
        assert f"Stopped after step {len(lines)}" in output
        assert trainer.returncode == 130
        assert list((tmp_path / "home/runs").glob(f"*/weights/step-{len(lines)}/optimizer.safetensors"))
