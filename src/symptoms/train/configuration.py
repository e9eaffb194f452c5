"""Where a training configuration comes from: a TOML file, options, the data file, the base model."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from base_models import known_models
from symptoms.config import TrainingConfig, in_words
from symptoms.data.reading import nearest, read_text
from symptoms.errors import DataError, Fault, InputError
from symptoms.train.learning_rate import FindShape, rate_by_width, unknown_shape


def read_config_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; raises DataError for one that is not TOML and for unknown keys."""
    text, _ = read_text(path)
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError([Fault(str(path), 1, "file", f"not valid TOML ({error})")]) from error
    faults = [
        Fault(str(path), _line_of(text, key), key, f"unknown key{nearest(key, TrainingConfig.model_fields)}")
        for key in settings
        if key not in TrainingConfig.model_fields
    ]
    if faults:
        raise DataError(faults)
    return settings


STEPS_AND_EPOCHS = ("steps", "epochs")
"""Two settings that say the same thing."""


def refuse_steps_with_epochs(told: Mapping[str, Any]) -> None:
    """Raises InputError where both were told, as one of them would count for nothing.

    A configuration that was worked out before holds both in any case, and is none of what was told.
    """
    if all(told.get(key) is not None for key in STEPS_AND_EPOCHS):
        raise InputError("steps and epochs say the same thing twice; give one of them.")


def left_beside(told: Collection[str], own: Mapping[str, Any]) -> dict[str, Any]:
    """A file's own settings without its steps or epochs where the other of the two was told over it."""
    replaced = {one for one in STEPS_AND_EPOCHS if one not in told and set(STEPS_AND_EPOCHS) & set(told)}
    return {key: value for key, value in own.items() if key not in replaced}


def resolve_config(
    told: Mapping[str, Any],
    of_the_data: Mapping[str, Any],
    base_model: str | None,
    find_shape: FindShape = unknown_shape,
) -> TrainingConfig:
    """The configuration of a run: what was told wins over what suits the base model and the data file.

    A data file that names the base model itself is taken at its word. For a data set on a base model that
    the table of models does not know, the learning rate goes by the model's shape, which `find_shape`
    gives where it is known.

    Raises InputError with every setting that cannot be.
    """
    settings = {**of_the_data, **_recommended(told, of_the_data, base_model, find_shape), **told}
    if base_model is not None:
        settings["base_model"] = base_model
    if "data" not in settings:
        raise InputError("There is no data to train on; name a file with --data.")
    try:
        return TrainingConfig.model_validate(settings)
    except ValidationError as error:
        raise InputError("\n".join(_sentence(problem) for problem in error.errors())) from error


def recommended_in_words(
    told: Mapping[str, Any],
    of_the_data: Mapping[str, Any],
    base_model: str | None,
    find_shape: FindShape = unknown_shape,
) -> str | None:
    """The recommended settings that a run on this base model takes; None where it takes none."""
    taken = _recommended(told, of_the_data, base_model, find_shape)
    if told.get("steps") is not None:
        taken.pop("epochs", None)
    if not taken:
        return None
    known = (base_model or "") in known_models()
    return f"{in_words(taken)}, recommended for {'this base model' if known else 'models of this width'}"


def _recommended(
    told: Mapping[str, Any],
    of_the_data: Mapping[str, Any],
    base_model: str | None,
    find_shape: FindShape,
) -> dict[str, Any]:
    """What suits the base model, but for what was told and for what does not fit that."""
    known = known_models().get(base_model or "")
    if known is not None:
        suited = known.experiment if of_the_data else known.data_sets
    else:
        # The experiment's file has a learning rate of its own, which is the original's.
        # Asked for only where it counts, as the answer may have to come from the model hub.
        shape = None if of_the_data or "learning_rate" in told else find_shape()
        rate = None if shape is None else rate_by_width(shape)
        suited = {} if rate is None else {"learning_rate": rate}
    if of_the_data.get("base_model") == base_model:
        suited = {}
    # Nobody should have to take back what we recommend in order to have what they ask for.
    gives_way = {"best_by": told.get("patience") is not None, "balanced": told.get("shuffle") is False}
    return {key: value for key, value in suited.items() if key not in told and not gives_way.get(key, False)}


def _sentence(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    said = problem["msg"].removeprefix("Value error, ")
    if not field:
        return f"These settings do not fit together: {said}."
    return f"{field} cannot be {problem['input']!r}: {said[0].lower()}{said[1:]}."


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip(" [\"'").startswith(key):
            return number
    return 1
