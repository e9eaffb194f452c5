"""The settings that the table of base models recommends are settings of the lab."""

from __future__ import annotations

import pytest

from base_models import known_models
from symptoms.settings import ORIGINAL, TrainingSettings
from symptoms.train import resolve
from symptoms.train.step_plan import count_steps


@pytest.mark.parametrize("name", known_models())
def test_settings_of_the_experiment_are_valid(name: str):
    """Each is one that an experiment's file may name, with a value that it takes."""
    known = known_models()[name]
    for settings in (known.experiment, known.reaches_original):
        assert settings.keys() <= ORIGINAL.keys()
        TrainingSettings.of({**ORIGINAL, **settings, "data": "file.json"})


@pytest.mark.parametrize("name", known_models())
def test_settings_for_data_sets_are_valid(name: str):
    """Each is a field of TrainingSettings with a value that it takes, and together they fit."""
    settings = known_models()[name].data_sets
    config = TrainingSettings(base_model=name, data="train.jsonl", dev="dev.jsonl", **settings)
    assert {key: getattr(config, key) for key in settings} == settings


@pytest.mark.parametrize(("examples", "epochs"), [(30, 6), (900, 6), (1300, 4), (1800, 3), (2696, 3)])
def test_few_examples_are_seen_more_often(examples: int, epochs: int):
    """Up to twice the recommended epochs, until there are enough steps; what was told stays."""
    told = TrainingSettings.of({"data": "train.jsonl"})
    found = resolve(told, None, "smollm2-135m", count_examples=lambda _settings: examples)
    assert found.settings.epochs == epochs
    assert f"epochs {epochs}," in (found.recommended or "")
    insisted = TrainingSettings.of({"data": "train.jsonl", "epochs": 2})
    assert resolve(insisted, None, "smollm2-135m", count_examples=lambda _: examples).settings.epochs == 2


@pytest.mark.parametrize(("examples", "warmup"), [(1, 1), (12, 2), (40, 6), (2696, 50)])
def test_a_recommended_warm_up_ends_well_before_a_short_training(examples: int, warmup: int):
    """Of few examples it takes a fifth of the steps, so that what is recommended can always be trained."""
    told = TrainingSettings.of({"data": "train.jsonl"})
    resolved = resolve(told, None, "smollm2-135m", count_examples=lambda _settings: examples)
    assert resolved.settings.warmup_steps == warmup
    assert f"warmup_steps {warmup}," in (resolved.recommended or "")
    count_steps(resolved.settings, examples)
    insisted = TrainingSettings.of({"data": "train.jsonl", "warmup_steps": 7})
    assert (
        resolve(insisted, None, "smollm2-135m", count_examples=lambda _: examples).settings.warmup_steps == 7
    )
