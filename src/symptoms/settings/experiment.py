"""The settings of the original experiment, as its data file and train_mental_health.py have them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, ValidationError

from base_models import known_models
from symptoms.errors import InputError
from symptoms.schedules import fraction_of_peak
from symptoms.settings.lora_and_adam import LoraAndAdam
from symptoms.words import in_words


class ExperimentSettings(LoraAndAdam):
    """The settings of the experiment, by default those of the original one.

    `test_examples` counts the examples from 1 and names those whose output is shown after training;
    when it is empty, three are taken, spread evenly.
    """

    learning_rate_schedule: Literal["constant", "linear"] = "constant"
    loss_fn: Literal["cross_entropy"] = "cross_entropy"
    test_examples: list[int] = Field(default=[])

    def for_base_model(self, base_model: str) -> ExperimentSettings:
        """The same settings on another base model, with what is recommended for that one.

        A file that names the base model itself is taken at its word.
        """
        if base_model == self.base_model:
            return self
        known = known_models().get(base_model)
        return self.model_copy(update={"base_model": base_model, **(known.experiment if known else {})})

    def with_changes(self, told: Sequence[str]) -> ExperimentSettings:
        """The same with settings told as `name=value`; raises InputError for one that cannot be."""
        changes: dict[str, Any] = {}
        # The model has an option of its own, and the file's test cases are read before settings are told.
        known = [name for name in type(self).model_fields if name not in ("base_model", "test_examples")]
        for one in told:
            name, _, value = one.partition("=")
            if name not in known:
                raise InputError(f"{name!r} cannot be set; choose one of: {', '.join(known)}.")
            try:
                read = tomllib.loads(f"value = {value}")
            except tomllib.TOMLDecodeError:
                read = {"value": value}  # a word without quotes
            changes[name] = read["value"] if len(read) == 1 else value
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problem = error.errors()[0]
            raise InputError(
                f"{problem['loc'][0]} cannot be {problem['input']!r}: {problem['msg'].lower()}."
            ) from error

    def differences(self, other: ExperimentSettings) -> str:
        """The settings that are not those of another, the base model aside; "" for none."""
        changed = {
            name: value
            for name, value in self.model_dump().items()
            if name != "base_model" and value != getattr(other, name)
        }
        return in_words(changed)

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """The learning rate of a step, counted from 1; a linear schedule falls towards zero."""
        return self.learning_rate * fraction_of_peak(self.learning_rate_schedule, step, num_steps)

    def as_training(self) -> dict[str, Any]:
        """The same for `symptoms train`; the original went through its examples in the file's order."""
        return self.model_dump(exclude={"loss_fn", "test_examples"}) | {"shuffle": False}
