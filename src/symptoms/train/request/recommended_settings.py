"""Settings that nobody told: those of the experiment's file, and those that suit the base model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from base_models import known_models
from symptoms.data.example import Experiment
from symptoms.settings import TrainingSettings
from symptoms.train.request.learning_rate_by_width import FindShape, rate_by_width, unknown_shape
from symptoms.train.step_plan import count_all_steps
from symptoms.words import in_words

SHORTEST_AFTER_WARMUP = 5
"""So many times as long as a recommended warm-up is a whole training, or the warm-up is shorter."""


@dataclass(frozen=True)
class Resolved:
    """The settings that a training goes by; `recommended` says which nobody told, None where all were."""

    settings: TrainingSettings
    recommended: str | None


def resolve(
    told: TrainingSettings,
    experiment: Experiment | None,
    base_model: str | None,
    find_shape: FindShape = unknown_shape,
    count_examples: Callable[[TrainingSettings], int] | None = None,
) -> Resolved:
    """The settings on a base model: what was told wins over what suits the model, and that over the file.

    `experiment` is that of an experiment's file, None for a data set. Such a file that names the
    base model itself is taken at its word. For a data set on a base model that the table of models does not
    know, the learning rate goes by the model's shape, which `find_shape` gives where it is known. Where
    `count_examples` tells of how many examples they are, few of them get up to twice the recommended epochs,
    and a recommended warm-up takes no more than a fifth of the steps.

    Raises InputError where settings do not fit together.
    """
    recommended = _recommended(told, experiment, base_model, find_shape)
    of_the_file = {} if experiment is None else experiment.settings.told
    settings = told.over({**of_the_file, **recommended})
    if base_model is not None:
        settings = settings.model_copy(update={"base_model": base_model})
    known = known_models().get(base_model or "")
    if "epochs" in recommended and known is not None and told.steps is None and count_examples is not None:
        recommended["epochs"] = _enough_epochs(settings, count_examples(settings), known.least_steps)
        settings = settings.model_copy(update={"epochs": recommended["epochs"]})
    if "warmup_steps" in recommended and count_examples is not None:
        longest = count_all_steps(settings, count_examples(settings)) // SHORTEST_AFTER_WARMUP
        recommended["warmup_steps"] = min(settings.warmup_steps, longest)
        settings = settings.model_copy(update={"warmup_steps": recommended["warmup_steps"]})
    if told.steps is not None:
        recommended.pop("epochs", None)
    if not recommended:
        return Resolved(settings, None)
    whose = "this base model" if (base_model or "") in known_models() else "models of this width"
    return Resolved(settings, f"{in_words(recommended)}, recommended for {whose}")


def _enough_epochs(settings: TrainingSettings, num_examples: int, least_steps: int) -> int:
    """The recommended epochs, or up to twice as many where these are fewer than `least_steps`."""
    in_one = count_all_steps(settings.model_copy(update={"epochs": 1}), num_examples)
    return min(max(settings.epochs, math.ceil(least_steps / in_one)), 2 * settings.epochs)


def _recommended(
    told: TrainingSettings,
    experiment: Experiment | None,
    base_model: str | None,
    find_shape: FindShape,
) -> dict[str, Any]:
    """What suits the base model, but for what was told and for what does not fit that."""
    names = told.model_fields_set
    known = known_models().get(base_model or "")
    if experiment is not None and experiment.settings.base_model == base_model:
        suited = {}
    elif known is not None:
        suited = known.data_sets if experiment is None else known.experiment
    else:
        # The experiment's file has a learning rate of its own, which is the original's.
        # Asked for only where it counts, as the answer may have to come from the model hub.
        shape = None if experiment is not None or "learning_rate" in names else find_shape()
        rate = None if shape is None else rate_by_width(shape)
        suited = {} if rate is None else {"learning_rate": rate}
    # Nobody should have to take back what we recommend in order to have what they ask for.
    gives_way = {"best_by": told.patience is not None, "balanced": not told.shuffle}
    return {key: value for key, value in suited.items() if key not in names and not gives_way.get(key, False)}
