"""Which base model is trained here where none is named, and how the result of the experiment is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from base_models import DEFAULT_BASE, KnownModel, known_models
from command_in_process import in_process
from symptoms.errors import InputError, ServiceError
from symptoms.service import connect, local_base_model
from symptoms.settings import ORIGINAL, TrainingSettings, read_changes
from symptoms.train.conclusion import concluding
from training_runs import write_examples


def test_the_default_is_the_tables_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """SYMPTOMS_BASE_MODEL in the environment wins over `.env`, and that over the table's default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYMPTOMS_BASE_MODEL")
    assert local_base_model() == DEFAULT_BASE
    (tmp_path / ".env").write_text("SYMPTOMS_BASE_MODEL=mine.gguf\n")
    assert local_base_model() == "mine.gguf"
    monkeypatch.setenv("SYMPTOMS_BASE_MODEL", "symptoms-base")
    assert local_base_model() == "symptoms-base"


def test_a_default_that_is_not_here_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_key: None
):
    """The sentence says which command gets it and which model needs none; no other model is taken instead."""
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path))
    monkeypatch.setenv("SYMPTOMS_BASE_MODEL", "smollm2-135m")
    with pytest.raises(ServiceError) as caught, connect("local"):
        pass
    assert str(caught.value) == (
        "smollm2-135m is not on this machine; 'symptoms models get smollm2-135m' gets it (93 MB), "
        "or --base-model symptoms-base needs no download."
    )


def test_a_training_without_its_base_model_leaves_no_run(tmp_path: Path):
    """`symptoms train` ends with that sentence and exit code 3."""
    write_examples(tmp_path / "train.jsonl", 8)
    settings = {"TINKER_LOCAL_MODELS": str(tmp_path / "models"), "SYMPTOMS_BASE_MODEL": ""}
    done = in_process(tmp_path, "train", "--data", "train.jsonl", "--run", "first", settings=settings)
    assert done.returncode == 3
    assert "'symptoms models get smollm2-135m' gets it" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "settings",
    [{"SYMPTOMS_BASE_MODEL": "symptoms-base"}, {"TINKER_API_KEY": "tml-x", "SYMPTOMS_BASE_MODEL": ""}],
    ids=["a bundled model", "hosted"],
)
def test_make_train_gets_nothing_that_is_not_needed(settings: dict[str, str], tmp_path: Path):
    """`symptoms models get --if-needed` is silent where training needs no download."""
    settings = {"TINKER_LOCAL_MODELS": str(tmp_path / "models"), "PIP_NO_INDEX": "1", **settings}
    done = in_process(tmp_path, "models", "get", "--if-needed", settings=settings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "models").exists()


def original(**changes: Any) -> TrainingSettings:
    """The settings of the experiment's file, with others for some of them."""
    return TrainingSettings.of({**ORIGINAL, "data": "file.json", "shuffle": False, **changes})


def test_settings_of_the_experiment_can_be_told():
    """Each is read as TOML has it, or as a word; what differs from the file is told."""
    told = read_changes(["learning_rate=2e-4", "learning_rate_schedule=linear", "epochs=3"])
    changed = original(**told)
    assert (changed.learning_rate, changed.learning_rate_schedule, changed.epochs) == (2e-4, "linear", 3)
    assert changed.differences(original()) == "learning_rate 0.0002, epochs 3, learning_rate_schedule linear"
    assert original(base_model="mine").differences(original()) == ""


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("learning_rat=1", "'learning_rat' cannot be set; choose one of: lora_rank, learning_rate,"),
        ("base_model=mine", "'base_model' cannot be set; "),
        ("epochs=1\nseed=3", "epochs cannot be '1\\nseed=3': "),
        ("epochs=many", "epochs cannot be 'many': "),
        ("epochs", "epochs cannot be '': "),
        ("learning_rate=-1", "learning_rate cannot be -1: "),
    ],
)
def test_settings_that_cannot_be_are_told(told: str, sentence: str):
    """An unknown name and a wrong value each end in a sentence that names it."""
    with pytest.raises(InputError) as caught:
        original(**read_changes([told]))
    assert str(caught.value).startswith(sentence)


def test_what_would_reach_the_original_is_told(monkeypatch: pytest.MonkeyPatch):
    """Where a run falls short, the smallest change that is known to do it, unless the run had it."""
    row = known_models()["symptoms-base"]
    known = KnownModel.model_validate(
        {**row.model_dump(), "experiment": {}, "reaches_original": {"epochs": 30}}
    )
    monkeypatch.setattr(concluding, "known_models", lambda: {"mine": known})
    verdict = concluding._verdict
    assert verdict(original(base_model="mine"), True) == "This reaches what the original claims."
    told = verdict(original(base_model="mine"), False).splitlines()
    assert told[0].startswith("This falls short of the original")
    assert told[1].endswith("to reach it on mine is epochs 30: python train_mental_health.py --set epochs=30")
    assert len(verdict(original(base_model="mine", epochs=30), False).splitlines()) == 1
    assert len(verdict(original(base_model="other"), False).splitlines()) == 1


def test_a_run_with_other_settings_is_not_told_what_would_reach_the_original(monkeypatch: pytest.MonkeyPatch):
    """What is known to reach it was measured with the original's; told is what differs."""
    row = known_models()["symptoms-base"]
    change = {"learning_rate_schedule": "linear"}
    known = KnownModel.model_validate({**row.model_dump(), "experiment": {}, "reaches_original": change})
    monkeypatch.setattr(concluding, "known_models", lambda: {"mine": known})
    short = original(base_model="mine", epochs=1)
    assert concluding._verdict(short, False).splitlines()[1] == (
        "It was trained with epochs 1; the original with epochs 20."
    )
    steps = original(base_model="mine", steps=5, epochs=5)
    assert "trained with steps 5; the original with epochs 20." in concluding._verdict(steps, False)
