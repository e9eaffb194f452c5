"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from base_models import BUNDLED_BASE, ModelShape, known_models
from symptoms.data.example import Experiment
from symptoms.errors import DataError, InputError
from symptoms.settings import ORIGINAL, TrainingSettings
from symptoms.train import read_settings_file, resolve
from symptoms.train.request.learning_rate_by_width import FindShape, unknown_shape

OF_THE_FILE = Experiment(TrainingSettings.of({**ORIGINAL, "data": "file.json", "shuffle": False}), ())


def settings_of(
    told: Mapping[str, Any],
    experiment: Experiment | None,
    base_model: str | None,
    find_shape: FindShape = unknown_shape,
) -> TrainingSettings:
    return resolve(TrainingSettings.of(told), experiment, base_model, find_shape).settings


def recommended(
    told: Mapping[str, Any],
    experiment: Experiment | None,
    base_model: str,
    find_shape: FindShape = unknown_shape,
) -> str | None:
    return resolve(TrainingSettings.of(told), experiment, base_model, find_shape).recommended


def test_what_is_told_wins_over_the_base_model_and_that_over_the_data():
    """A told learning rate stands; else the base model's; else that of the experiment's file."""
    suited = known_models()[BUNDLED_BASE].experiment["learning_rate"]
    assert settings_of({"data": "x"}, OF_THE_FILE, "other").learning_rate == 1e-4
    assert settings_of({"data": "x"}, OF_THE_FILE, BUNDLED_BASE).learning_rate == suited
    told = {"data": "x", "learning_rate": 0.5}
    assert settings_of(told, OF_THE_FILE, BUNDLED_BASE).learning_rate == 0.5
    of_the_file = Experiment(OF_THE_FILE.settings.model_copy(update={"base_model": BUNDLED_BASE}), ())
    assert settings_of({"data": "x"}, of_the_file, BUNDLED_BASE).learning_rate == 1e-4


def test_a_data_set_gets_other_recommendations_than_the_experiment():
    """What suits one example a step does not suit many conditions; other base models get neither."""
    suited = known_models()[BUNDLED_BASE].data_sets
    config = settings_of({"data": "x"}, None, BUNDLED_BASE)
    assert {key: getattr(config, key) for key in suited} == suited
    assert settings_of({"data": "x", "batch_size": 4}, None, BUNDLED_BASE).batch_size == 4
    assert settings_of({"data": "x"}, None, "other") == TrainingSettings(data="x", base_model="other")


def test_a_model_that_nobody_searched_settings_for_gets_a_rate_by_its_width():
    """Only for data sets: the experiment's file has the original's rate. What is told wins, and is said."""
    width = ModelShape("llama", 2048)
    assert settings_of({"data": "x"}, None, "other", lambda: width).learning_rate == 4.9e-4
    assert settings_of({"data": "x"}, None, "other", lambda: ModelShape(None, 2048)).learning_rate == 1e-4
    assert settings_of({"data": "x"}, OF_THE_FILE, "other", lambda: width).learning_rate == 1e-4
    assert settings_of({"data": "x", "learning_rate": 0.5}, None, "other", lambda: width).learning_rate == 0.5
    said = "learning_rate 0.00049, recommended for models of this width"
    assert recommended({"data": "x"}, None, "other", lambda: width) == said


def test_a_recommendation_gives_way_to_what_it_does_not_fit():
    """Asking for patience, or for the file's order, is enough: nothing else has to be taken back."""
    patient = settings_of({"data": "x", "dev": "y", "patience": 3}, None, BUNDLED_BASE)
    assert (patient.patience, patient.best_by) == (3, "dev_loss")
    in_order = settings_of({"data": "x", "shuffle": False}, None, BUNDLED_BASE)
    assert (in_order.shuffle, in_order.balanced) == (False, False)


def test_a_recommendation_stays_beside_what_it_fits():
    """Telling what would hold in any case, a shuffled order or no patience, takes nothing away."""
    config = settings_of({"data": "x", "shuffle": True, "patience": None}, None, BUNDLED_BASE)
    assert config == settings_of({"data": "x"}, None, BUNDLED_BASE)
    assert (config.balanced, config.best_by) == (True, "last")


def test_the_recommendations_that_were_taken_are_told():
    """Those that were told otherwise, or that count for nothing beside what was told, are left out."""
    told = {"data": "x", "dev": "y", "learning_rate": 0.5, "batch_size": 4, "patience": 3, "steps": 7}
    assert recommended(told, None, BUNDLED_BASE) == (
        "balanced true, concern_weight 3, weight_decay 0.5, train_attn false, recommended for this base model"
    )
    suited = known_models()[BUNDLED_BASE].experiment["learning_rate"]
    of_the_experiment = recommended({"data": "x"}, OF_THE_FILE, BUNDLED_BASE) or ""
    assert of_the_experiment.startswith(f"learning_rate {suited:g}, learning_rate_schedule linear, ")
    assert recommended({"data": "x"}, None, "other") is None
    everything = settings_of({"data": "x"}, None, BUNDLED_BASE).model_dump()
    assert recommended(everything, None, BUNDLED_BASE) is None


def test_unknown_keys_are_refused_with_the_nearest(tmp_path: Path):
    """Each unknown key of a TOML file is told with its line and the name that it resembles."""
    file = tmp_path / "run.toml"
    file.write_text('data = "x"\n\nlearning_rat = 1\nbatchsize = 2\n')
    with pytest.raises(DataError) as caught:
        read_settings_file(file)
    told = str(caught.value).splitlines()
    assert told[0].endswith("run.toml:3: learning_rat: unknown key; did you mean 'learning_rate'?")
    assert told[1].endswith("run.toml:4: batchsize: unknown key; did you mean 'batch_size'?")
    file.write_text("learning_rate = = 1")
    with pytest.raises(DataError, match="not valid TOML"):
        read_settings_file(file)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "name a file with --data"),
        (
            {"data": "x", "learning_rate": -1.0},
            "learning_rate cannot be -1.0: input should be greater than 0",
        ),
        (
            {"data": "x", "batch_size": 0, "epochs": 0},
            "batch_size cannot be 0.*\nepochs|epochs.*\nbatch_size",
        ),
        ({"data": "x", "patience": 3}, "patience, dev_accuracy and allow_duplicate need dev"),
        ({"data": "x", "dev": "y", "patience": 3, "best_by": "last"}, "best_by last takes the last ones"),
        ({"data": "x", "steps": 5, "warmup_steps": 5}, "must be fewer than the 5 steps"),
        ({"data": "x", "learning_rate_schedule": "quadratic"}, "'constant', 'linear', 'cosine' or 'wsd'"),
        (
            {"data": "x", "train_attn": False, "train_mlp": False, "train_unembed": False},
            "one of train_attn, train_mlp and train_unembed must be true",
        ),
    ],
)
def test_settings_that_cannot_be_are_told(settings: dict[str, object], sentence: str):
    """Wrong values and combinations end in sentences that name them."""
    with pytest.raises(InputError, match=sentence):
        settings_of(settings, None, None)
