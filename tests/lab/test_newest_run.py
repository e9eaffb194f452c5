"""Which run answers where none is named, and what a run says of the weights that it uses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from symptoms.errors import RunError
from symptoms.runs import (
    RunDirectory,
    all_runs,
    catalogue,
    find_run,
    newest_run,
    run_by_name,
    run_of_checkpoint,
    run_to_ask,
)
from symptoms.shipped import CLASSIFIER
from symptoms.train.watching.live_view import mean_of_steps


def made(
    root: Path,
    name: str,
    age: int,
    finished: bool = True,
    kinds: tuple[str, ...] = ("sampler",),
    examples: int = 30,
) -> None:
    """A run that started so many seconds ago, with checkpoints of these kinds."""
    path = root / name
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps({"num_examples": examples}))
    lines = [{"path": f"tinker://{name}/{kind}", "step": 1, "kind": kind} for kind in kinds]
    (path / "checkpoints.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if finished:
        (path / "summary.json").write_text("{}")
    os.utime(path / "manifest.json", (1e9 - age, 1e9 - age))


def test_the_newest_run_is_a_finished_one_with_a_checkpoint(tmp_path: Path):
    """One that still trains has states, and one whose weights were deleted has none; neither answers."""
    made(tmp_path, "old", age=30)
    made(tmp_path, "good", age=20)
    made(tmp_path, "deleted", age=10, kinds=())
    made(tmp_path, "training", age=0, finished=False, kinds=("training", "best"))
    assert newest_run(tmp_path).name == "good"


def test_the_newest_run_is_the_one_that_started_last(tmp_path: Path):
    """By its manifest, in whatever zone that tells the time, and not by a file that was copied or touched."""
    for name, started, age in (
        ("second", "2026-03-01T12:00:00+01:00", 10),
        ("third", "2026-03-01T11:30:00+00:00", 30),
        ("first", "2026-03-01T10:00:00+00:00", 0),
    ):
        made(tmp_path, name, age)
        manifest, written = tmp_path / name / "manifest.json", 1e9 - age
        manifest.write_text(json.dumps({"num_examples": 30, "started": started}))
        os.utime(manifest, (written, written))
    assert [run.name for run in all_runs(tmp_path)] == ["first", "second", "third"]
    assert newest_run(tmp_path).name == "third"


def test_without_a_finished_run_the_next_step_is_told(tmp_path: Path):
    """To let it finish, or to choose it by name."""
    made(tmp_path, "training", age=0, finished=False)
    with pytest.raises(RunError, match=r"no finished run .*let one finish.*--run training"):
        newest_run(tmp_path)


@pytest.mark.parametrize("told", [{"base_model": "symptoms-base"}, {"service": "hosted"}])
def test_what_ships_is_not_asked_of_another_base_or_service(told: dict[str, str], tmp_path: Path):
    """Which it would fail at, after the connection was made; the sentence names what it needs."""
    with pytest.raises(RunError, match="needs the local service and smollm2-135m"):
        run_to_ask("shipped", root=tmp_path, **told)


@pytest.fixture(params=[True, False])
def base_is_here(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A classifier that ships, and whether the base model that it needs is on this machine."""
    made(tmp_path / "package", "shipped", age=0)
    monkeypatch.setattr(catalogue, "CLASSIFIER_RUN", tmp_path / "package" / "shipped")
    monkeypatch.setattr(catalogue, "_is_here", lambda _name: request.param)
    return request.param


def test_where_nobody_trained_anything_the_classifier_that_ships_answers(base_is_here: bool, tmp_path: Path):
    """It needs its base model here; without that, how to get it is told."""
    if base_is_here:
        assert run_to_ask(None, root=tmp_path / "runs").name == "shipped"
    else:
        with pytest.raises(RunError, match=r"no trained run .*needs smollm2-135m; run 'symptoms models get'"):
            run_to_ask(None, root=tmp_path / "runs")


def test_a_demonstration_does_not_answer_in_its_place(base_is_here: bool, tmp_path: Path):
    """A run on 30 examples is asked by name, or where nothing else can answer; one on many comes first."""
    runs = tmp_path / "runs"
    made(runs, "experiment", age=5)
    assert run_to_ask(None, root=runs).name == ("shipped" if base_is_here else "experiment")
    assert run_to_ask("experiment", root=runs).name == "experiment"
    assert run_to_ask(None, service="hosted", root=runs).name == "experiment"
    assert run_to_ask(None, base_model="symptoms-base", root=runs).name == "experiment"
    made(runs, "mine", age=1, examples=900)
    assert run_to_ask(None, root=runs).name == ("shipped" if base_is_here else "mine")
    (runs / "mine" / "accuracy.json").write_text("{}")
    assert run_to_ask(None, root=runs).name == "mine"


@pytest.mark.usefixtures("base_is_here")
def test_what_ships_is_known_by_name_unless_a_run_here_has_it(tmp_path: Path):
    """`shipped` names it for those who read; nothing that removes or trains finds it."""
    runs = tmp_path / "runs"
    assert run_by_name("shipped", runs).path == tmp_path / "package" / "shipped"
    assert run_of_checkpoint(CLASSIFIER.checkpoint, runs).path == tmp_path / "package" / "shipped"
    with pytest.raises(RunError, match="no run 'shipped'"):
        find_run("shipped", runs)
    made(runs, "shipped", age=1)
    assert run_by_name("shipped", runs).path == runs / "shipped"


EVALUATIONS = [
    {"step": 10, "dev_loss": 1.5, "dev_concern_loss": 0.4},
    {"step": 20, "dev_loss": 1.2, "dev_concern_loss": 0.6},
    {"step": 30, "dev_loss": 1.3, "dev_concern_loss": 0.3},
]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 1.2),
        ({"best_by": "dev_loss"}, 1.2),
        ({"best_by": "last"}, 1.3),
        ({"best_by": "dev_concern_loss"}, 1.3),
    ],
)
def test_the_dev_loss_of_a_run_is_that_of_the_weights_it_uses(
    tmp_path: Path, config: dict[str, Any], expected: float
):
    """Not the lowest, where the last weights are used."""
    (tmp_path / "manifest.json").write_text(json.dumps({"data": "train.jsonl"}))
    (tmp_path / "config.json").write_text(json.dumps(config))
    run = RunDirectory(tmp_path)
    assert run.used_dev_loss() is None
    for line in EVALUATIONS:
        run.append_evaluation(line)
    assert run.used_dev_loss() == expected


@pytest.mark.parametrize("kind", ["best", "last"])
def test_the_checkpoint_that_was_chosen_is_used(tmp_path: Path, kind: str):
    """Before the final one, whatever it is called."""
    for other in ("sampler", kind, "training"):
        RunDirectory(tmp_path).append_checkpoint(f"tinker://a/{other}", 1, other)
    assert RunDirectory(tmp_path).final_checkpoint() == f"tinker://a/{kind}"


def test_a_run_that_an_earlier_version_began_goes_on(tmp_path: Path):
    """What it called the best step and checkpoint is what is kept."""
    noted = {
        "step": 40, "state": "tinker://a/weights/step-40", "best_step": 30, "best_loss": 1.3,
        "best_checkpoint": "tinker://a/sampler_weights/best-step-30", "evaluations_since_best": 0,
    }  # fmt: skip
    (tmp_path / "progress.json").write_text(json.dumps(noted))
    progress = RunDirectory(tmp_path).progress()
    assert (progress.step, progress.kept_step) == (40, 30)
    assert progress.kept_checkpoint == noted["best_checkpoint"]


def test_a_mean_of_steps_says_so():
    """One step is its own loss."""
    assert mean_of_steps(1.2345, 30) == "loss 1.234 (mean of 30 steps)"
    assert mean_of_steps(1.5, 1) == "loss 1.500"


def test_what_ships_is_evaluated_for_the_risk_that_it_keeps():
    """Its own, where none is told; other runs have the usual one."""
    from symptoms.evaluate.evaluate_run import usual_risk

    assert usual_risk("shipped") == 0.15
    assert usual_risk("mine") == 0.3
