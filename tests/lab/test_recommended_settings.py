"""The settings that the table of base models recommends are settings of the lab."""

from __future__ import annotations

import pytest

from base_models import known_models
from symptoms.settings import ExperimentSettings, TrainingSettings


@pytest.mark.parametrize("name", known_models())
def test_settings_of_the_experiment_are_valid(name: str):
    """Each is a field of ExperimentSettings with a value that it takes."""
    known = known_models()[name]
    for settings in (known.experiment, known.reaches_original):
        config = ExperimentSettings(base_model=name, **settings)
        assert {key: getattr(config, key) for key in settings} == settings


@pytest.mark.parametrize("name", known_models())
def test_settings_for_data_sets_are_valid(name: str):
    """Each is a field of TrainingSettings with a value that it takes, and together they fit."""
    settings = known_models()[name].data_sets
    config = TrainingSettings(base_model=name, data="train.jsonl", dev="dev.jsonl", **settings)
    assert {key: getattr(config, key) for key in settings} == settings
