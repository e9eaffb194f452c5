"""The settings of runs that other versions made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_in_process import in_process
from symptoms.errors import RunError
from symptoms.report.comparing import compare, read_run
from symptoms.runs import SHIPPED, RunDirectory, run_by_name
from symptoms.settings import ORIGINAL, TrainingSettings
from symptoms.train.request.training_request import request_to_repeat


def write_run(folder: Path, config: str) -> RunDirectory:
    """The files of a run by which it is listed."""
    folder.mkdir(parents=True)
    told = {
        "data": "data.json", "data_sha256": "ab", "base_model": "mine", "seed": 3, "started": "2026-01-01",
        "service": "local", "service_url": None, "loss_reduction": "sum",
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(told))
    (folder / "config.json").write_text(config)
    return RunDirectory(folder)


def defaults(**settings: Any) -> TrainingSettings:
    return TrainingSettings(**{"data": "data.json", "base_model": "mine", "seed": 3, **settings})


def test_a_run_of_the_flat_script_of_before_has_the_settings_of_its_training(tmp_path: Path):
    """Its config.json named no data, but the file's loss and test cases; it went in the file's order."""
    old = {**ORIGINAL, "epochs": 3, "loss_fn": "cross_entropy", "test_examples": []}
    settings, not_understood = write_run(tmp_path / "flat", json.dumps(old)).stored_settings()
    assert settings == defaults(**{**ORIGINAL, "epochs": 3, "shuffle": False})
    assert not_understood == ()


def test_what_a_version_did_not_know_or_let_pass_is_no_fault(tmp_path: Path):
    """The first is in the manifest or as by default; the second, here patience without dev, stays."""
    settings, not_understood = write_run(tmp_path / "run", '{"patience": 2}').stored_settings()
    assert settings.model_dump() == {**defaults().model_dump(), "patience": 2}
    assert not_understood == ()


@pytest.mark.parametrize("setting", ['"rank_dropout": 0.1', '"best_by": "dev_f1"'], ids=["a name", "a value"])
def test_a_setting_of_another_version_leaves_a_run_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
):
    """It is listed and shown without it, and is not repeated as if that did not matter."""
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "runs/later", f'{{"epochs": 9, {setting}}}')
    assert run.settings() == defaults(epochs=9)
    for command in (("list",), ("show", "later")):
        done = in_process(tmp_path, "runs", *command)
        assert done.returncode == 0, done.stderr
    name = setting.split('"')[1]
    row = next(line for line in done.stdout.splitlines() if name in line)
    assert row.split()[1] in setting
    assert row.endswith("(this version does not understand it)")
    with pytest.raises(RunError, match=rf"does not understand \({name}\), so it cannot be resumed"):
        request_to_repeat("later", {}, None)


@pytest.mark.parametrize(
    ("steps", "shown"), [("6", ["steps", "6"]), ("null", ["epochs", "8"])], ids=["steps", "epochs"]
)
def test_a_run_is_shown_with_the_steps_or_epochs_that_it_went_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str, shown: list[str]
):
    """Not with both, as one of them did not count."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs/told", f'{{"epochs": 8, "steps": {steps}}}')
    done = in_process(tmp_path, "runs", "show", "told")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [row for row in rows if row[0] in ("steps", "epochs")] == [shown]


def test_runs_of_the_same_steps_are_compared_as_one_setting(tmp_path: Path):
    """Epochs that neither went by do not tell them apart."""
    runs = [read_run(write_run(tmp_path / str(told), f'{{"epochs": {told}, "steps": 6}}')) for told in (5, 8)]
    assert len(compare(runs).groups) == 1


def test_runs_that_differ_in_what_is_not_understood_are_not_compared_as_one(tmp_path: Path):
    """They are groups of their own, which that setting tells apart."""
    runs = [write_run(tmp_path / f"run-{rate}", f'{{"rank_dropout": {rate}}}') for rate in (0.1, 0.2)]
    comparison = compare([read_run(run) for run in runs])
    assert comparison.differing == ("rank_dropout",)
    assert [group.name for group in comparison.groups] == ["rank dropout 0.1", "rank dropout 0.2"]


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_file_is_told(tmp_path: Path, content: str):
    """In a sentence that names it."""
    with pytest.raises(RunError, match=r"config\.json cannot be read"):
        write_run(tmp_path / "run", content).settings()


def test_the_run_that_ships_has_all_its_settings():
    """Each that its config.json names, and none that this version does not understand."""
    run = run_by_name(SHIPPED)
    settings, not_understood = run.stored_settings()
    told = json.loads((run.path / "config.json").read_text())
    assert not_understood == ()
    assert {name: getattr(settings, name) for name in told} == told
