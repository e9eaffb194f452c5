"""Runs that answer together or are averaged: how they score, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from safetensors.numpy import load_file

from command_in_process import in_process
from symptoms.classifier import TrainedModel, Writing
from symptoms.data import Label
from symptoms.runs import ACCURACY, RunDirectory, run_to_ask
from symptoms.service import LocalServer, connect
from symptoms.shipped import CLASSIFIER, CLASSIFIER_RUN
from tinker_local.cli import default_home
from tinker_local.cli import main as tinker_local_main
from tinker_local.service.checkpoints import CheckpointStore, parse_path
from training_runs import COLOURS, HELD_OUT_WORDS, WORDS, write_examples

TEXTS = ("sleep fear crowds", "dogs work", "news")


@pytest.fixture(scope="module")
def trained_twice(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `first` and `second`, alike but for the seed, `both`, and `fewer` on other examples."""
    folder = tmp_path_factory.mktemp("ensemble")
    write_examples(folder / "train.jsonl", 8)
    write_examples(folder / "fewer.jsonl", 4)
    write_examples(folder / "dev.jsonl", 8, words=[f"my {word}" for word in WORDS])
    write_examples(folder / "test.jsonl", 8, words=HELD_OUT_WORDS)
    for name, data, seed in (("first", "train", 0), ("second", "train", 1), ("fewer", "fewer", 0)):
        done = in_process(
            folder, "train", "--data", f"{data}.jsonl", "--run", name, "--seed", str(seed), "--steps", "3",
            "--learning-rate", "0.05", "--base-model", server.base_model, "--lora-rank", "2", server=server,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    done = in_process(folder, "runs", "ensemble", "both", "first", "second")
    assert done.returncode == 0, done.stderr
    return folder


def test_labels_are_scored_by_the_mean_over_the_runs(
    trained_twice: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    labels = tuple(Label(colour, colour) for colour in COLOURS)
    paths = RunDirectory(trained_twice / "runs" / "both").answering_checkpoints()
    scores: list[np.ndarray] = []
    with connect(server.url, server.base_model) as service:
        for first, *others in ((paths[0],), (paths[1],), paths):
            model = TrainedModel.load(service, first, beside=others)
            answers = model.answers([(text, Writing.NOTHING) for text in TEXTS], labels)
            scores.append(np.array([answer.logprobs for answer in answers]))
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    np.testing.assert_allclose(scores[2], (scores[0] + scores[1]) / 2, atol=1e-6)


def test_it_is_measured_and_asked_by_its_name(trained_twice: Path, server: LocalServer):
    done = in_process(
        trained_twice, "evaluate", "both", "--data", "test.jsonl", "--dev", "dev.jsonl", "--no-words",
        "--allow-duplicate", "all", "--json", "both.json", server=server,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads((trained_twice / "both.json").read_text())["details"]["subject"]
    assert (told["name"], told["settings"]["ensemble"]) == ("both", 2)
    assert "seed" not in told["settings"], "its members have two"
    done = in_process(trained_twice, "assess", "sleep fear", "--run", "both", "--json", server=server)
    assert done.returncode == 0, done.stderr
    shown = in_process(trained_twice, "runs", "show", "both").stdout
    assert "ensemble of 2" in shown
    assert all(name in shown for name in ("first", "second"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("runs", "ensemble", "new", "first", "fewer"), "not of the same training data"),
        (("runs", "ensemble", "new", "first", "both"), "both is an ensemble"),
        (("runs", "ensemble", "new", "first", "first"), "each named once"),
        (("runs", "ensemble", "both", "first", "second"), "exists already"),
        (("runs", "ensemble", "shipped", "first", "second"), "is what the classifier that ships is called"),
        (("export", "both", "--to", "peft"), "export its members: first, second"),
        (("train", "--resume", "both"), "name one of its members: first, second"),
        (("train", "--repeat", "both"), "name one of its members: first, second"),
        (("runs", "average", "new", "first", "fewer"), "not of the same training data"),
        (("runs", "average", "new", "first", "both"), "both is an ensemble"),
        (("runs", "average", "new", "first"), "two runs or more"),
        (("runs", "average", "both", "first", "second"), "exists already"),
        (("runs", "rm", "first", "--yes", "--checkpoints"), "answer in the ensemble both"),
    ],
)
def test_what_cannot_be_is_refused_with_the_next_step(
    trained_twice: Path, server: LocalServer, arguments: tuple[str, ...], said: str
):
    done = in_process(trained_twice, *arguments, server=server)
    assert done.returncode == 1, done.stdout
    assert said in " ".join(done.stderr.split())
    assert not (trained_twice / "runs" / "new").exists()


def test_a_file_of_answers_goes_on_with_the_ensemble_alone(trained_twice: Path, server: LocalServer):
    """Its first member alone would answer otherwise; without a run, the file says what it was begun with."""
    (trained_twice / "rows.jsonl").write_text("".join(json.dumps({"input": text}) + "\n" for text in TEXTS))
    ask = ("assess", "--file", "rows.jsonl", "--out", "answers.jsonl")
    assert in_process(trained_twice, *ask, "--run", "both", server=server).returncode == 0
    answers = trained_twice / "answers.jsonl"
    whole = answers.read_text()
    answers.write_text("".join(whole.splitlines(keepends=True)[:1]))
    refused = in_process(trained_twice, *ask, "--run", "first", server=server)
    assert refused.returncode == 2
    assert "was begun with" in refused.stderr
    assert in_process(trained_twice, *ask, server=server).returncode == 0
    assert answers.read_text() == whole


def test_an_evaluated_run_answers_though_a_newer_one_was_not(trained_twice: Path, tmp_path: Path):
    """Joining runs alone does not take the default away from the one that was measured."""
    labels = json.loads((CLASSIFIER_RUN / "manifest.json").read_text())["labels"]
    for name, started in (("first", "2026-01-01T00:00:00+00:00"), ("both", "2026-01-02T00:00:00+00:00")):
        shutil.copytree(trained_twice / "runs" / name, tmp_path / name)
        (tmp_path / name / ACCURACY).unlink(missing_ok=True)
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        told = {**manifest, "num_examples": 200, "labels": labels, "started": started}
        (tmp_path / name / "manifest.json").write_text(json.dumps(told))
    (tmp_path / "first" / ACCURACY).write_text("{}")
    assert run_to_ask(None, root=tmp_path).name == "first"
    assert run_to_ask(None, base_model="elsewhere", root=tmp_path).name == "both"


def test_the_classifier_that_ships_can_be_a_member(tmp_path: Path):
    """Beside a training of the same base on the same file, as here a copy of it stands for one."""
    own = tmp_path / "runs" / "own"
    shutil.copytree(CLASSIFIER_RUN, own)
    (own / "summary.json").write_text("{}")
    (own / "checkpoints.jsonl").write_text('{"path": "tinker://own", "step": 1, "kind": "last"}\n')
    done = in_process(tmp_path, "runs", "ensemble", "both", "shipped", "own")
    assert done.returncode == 0, done.stderr
    paths = RunDirectory(tmp_path / "runs" / "both").answering_checkpoints()
    assert paths == (CLASSIFIER.checkpoint, "tinker://own")


def test_runs_on_examples_that_the_seed_drew_do_not_answer_together(trained_twice: Path):
    runs = trained_twice / "runs"
    for name, seed in (("drawn-0", 0), ("drawn-1", 1)):
        shutil.copytree(runs / "first", runs / name)
        settings = json.loads((runs / name / "config.json").read_text())
        (runs / name / "config.json").write_text(
            json.dumps({**settings, "examples_per_condition": 1, "seed": seed})
        )
        (runs / name / "checkpoints.jsonl").write_text(
            json.dumps({"path": f"tinker://{name}", "step": 1, "kind": "last"}) + "\n"
        )
    done = in_process(trained_twice, "runs", "ensemble", "new", "drawn-0", "drawn-1")
    assert "drawn by the seed" in " ".join(done.stderr.split())


def test_an_average_changes_every_layer_by_the_mean_of_what_its_runs_change(
    trained_twice: Path, server: LocalServer
):
    """Read by numpy, its product B A is the mean of theirs, and it is asked and measured as a run is."""
    done = averaged(trained_twice, "mean", "first", "second")
    assert done.returncode == 0, done.stderr
    assert "rank 4." in done.stdout
    run = RunDirectory(trained_twice / "runs" / "mean")
    ours, *theirs = (
        changes_of(path) for path in (run.final_checkpoint(), *(one.checkpoint for one in run.averaged()))
    )
    assert len(theirs) == 2
    for layer, change in ours.items():
        np.testing.assert_allclose(change, (theirs[0][layer] + theirs[1][layer]) / 2, atol=1e-5)
    asked = in_process(trained_twice, "assess", "sleep fear", "--run", "mean", "--json", server=server)
    assert asked.returncode == 0, asked.stderr
    shown = in_process(trained_twice, "runs", "show", "mean").stdout
    assert "average of 2" in shown
    assert "runs that it is the mean of" in shown


def test_an_average_of_a_lower_rank_is_the_nearest_of_that_rank(trained_twice: Path, server: LocalServer):
    """By numpy's singular values; what it leaves out is told."""
    done = averaged(trained_twice, "near", "first", "second", "--rank", "1")
    assert done.returncode == 0, done.stderr
    assert "rank 1, which leaves out" in done.stdout
    run = RunDirectory(trained_twice / "runs" / "near")
    ours, first, second = (
        changes_of(path) for path in (run.final_checkpoint(), *(one.checkpoint for one in run.averaged()))
    )
    for layer, change in ours.items():
        left, strengths, right = np.linalg.svd((first[layer] + second[layer]) / 2)
        np.testing.assert_allclose(change, strengths[0] * np.outer(left[:, 0], right[0]), atol=1e-4)


def averaged(folder: Path, *arguments: str) -> CompletedProcess[str]:
    """`runs average`, where the server of the tests keeps its checkpoints."""
    settings = {"TINKER_LOCAL_HOME": os.environ["TINKER_LOCAL_HOME"]}
    return in_process(folder, "runs", "average", *arguments, settings=settings)


def changes_of(checkpoint: str) -> dict[str, np.ndarray]:
    """What an adapter adds to each layer's weight, read from its PEFT folder by safetensors alone."""
    folder = CheckpointStore(default_home()).folder(parse_path(checkpoint))
    tensors = load_file(folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    return {
        name: config["lora_alpha"] / config["r"] * tensors[name.replace("lora_A", "lora_B")] @ tensors[name]
        for name in tensors
        if "lora_A" in name
    }


@pytest.mark.parametrize("name", ["..", "", "a/b", "a.b", "n" * 300])
def test_an_average_is_written_under_a_name_and_nowhere_else(
    trained_twice: Path, server: LocalServer, name: str, capsys: pytest.CaptureFixture[str]
):
    run = RunDirectory(trained_twice / "runs" / "both")
    paths = [one.checkpoint for one in run.members()]
    with pytest.raises(SystemExit):
        tinker_local_main(["average", "--home", str(default_home()), name, *paths])
    assert "cannot name a run; use letters" in capsys.readouterr().err
