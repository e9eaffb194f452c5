"""The settings of runs that other versions made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_in_process import in_process
from symptoms.errors import RunError
from symptoms.runs import SHIPPED, RunDirectory, run_by_name
from symptoms.settings import ORIGINAL, TrainingSettings
from symptoms.train.request.training_request import request_to_repeat
from training_runs import write_examples, write_experiment


def write_run(folder: Path, config: Any, **manifest: Any) -> RunDirectory:
    """The files of a run by which it is listed."""
    folder.mkdir(parents=True)
    told = {
        "data": "data.json", "data_sha256": "ab", "base_model": "mine", "seed": 3, "started": "2026-01-01",
        "service": "local", "service_url": None, "loss_reduction": "sum", **manifest,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(told))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "summary.json").write_text("{}")
    return RunDirectory(folder)


def test_a_run_of_the_flat_script_of_before_has_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its config.json named no data, and the file's loss and test cases; it went in the file's order."""
    monkeypatch.chdir(tmp_path)
    data = write_experiment(tmp_path / "data.json", epochs=3)
    old = {**ORIGINAL, "epochs": 3, "loss_fn": "cross_entropy", "test_examples": []}
    run = write_run(tmp_path / "runs/flat", old)
    told = {**ORIGINAL, "epochs": 3, "data": "data.json", "shuffle": False}
    assert run.settings() == TrainingSettings.of(told)
    with pytest.raises(RunError, match="has changed since"):
        request_to_repeat("flat", {}, None)
    assert data.exists()


def test_what_an_earlier_version_did_not_know_is_as_by_default(tmp_path: Path):
    """Data, base model and seed stand in every manifest."""
    settings = write_run(tmp_path / "run", {"lora_rank": 4}).settings()
    assert settings == TrainingSettings(data="data.json", base_model="mine", seed=3, lora_rank=4)


@pytest.mark.parametrize(
    ("setting", "value"), [("rank_dropout", 0.1), ("best_by", "dev_f1")], ids=["a name", "a value"]
)
def test_a_setting_of_another_version_leaves_a_run_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: Any
):
    """It is listed, shown and read without it, and is not repeated as if that did not matter."""
    monkeypatch.chdir(tmp_path)
    write_examples(tmp_path / "train.jsonl", 4)
    run = write_run(tmp_path / "runs/later", {"data": "train.jsonl", "epochs": 9, setting: value})
    assert run.settings() == TrainingSettings(data="train.jsonl", base_model="mine", seed=3, epochs=9)
    for command in (("list",), ("show", "later")):
        done = in_process(tmp_path, "runs", *command)
        assert done.returncode == 0, done.stderr
    assert "epochs                   9" in done.stdout
    with pytest.raises(RunError, match=rf"does not understand \({setting}\), so it cannot be resumed"):
        request_to_repeat("later", {}, None)


def test_settings_that_are_refused_by_now_are_still_those_of_their_run(tmp_path: Path):
    """A combination that an earlier version let pass does not hide the run."""
    run = write_run(tmp_path / "run", {"data": "train.jsonl", "patience": 2})
    assert (run.settings().patience, run.settings().dev) == (2, None)


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_damaged_file_is_told(tmp_path: Path, content: str | None):
    """In a sentence that names it."""
    run = write_run(tmp_path / "run", {})
    (run.path / "config.json").unlink()
    if content is not None:
        (run.path / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"config\.json cannot be read"):
        run.settings()


def test_the_run_that_ships_has_all_its_settings():
    """Each that its config.json names, and none that this version does not understand."""
    run = run_by_name(SHIPPED)
    settings, not_understood = run.stored_settings()
    told = json.loads((run.path / "config.json").read_text())
    assert not_understood == ()
    assert {name: getattr(settings, name) for name in told} == told
