"""What is to be trained, as it was told: anew, again, or from where it was interrupted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from symptoms.config import TrainingConfig
from symptoms.data.records import Columns
from symptoms.errors import InputError, RunError
from symptoms.train.configuration import recommended_in_words, refuse_steps_with_epochs, resolve_config
from symptoms.train.learning_rate import FindShape, unknown_shape
from symptoms.train.run_directory import RunDirectory, find_run
from symptoms.train.training_data import TrainingData, load_training_data, subset_of


@dataclass(frozen=True)
class Order:
    """What is to be trained: settings as they were told, data, and the run to go on with if there is one.

    `base_model_sha256` is the digest that the base weights have to have, None for any.
    """

    settings: Mapping[str, Any]
    data: TrainingData
    dev: TrainingData | None
    service: str | None
    run: RunDirectory | None = None
    base_model_sha256: str | None = None

    @property
    def base_model(self) -> str | None:
        return self.settings.get("base_model")

    def config(self, base_model: str | None, find_shape: FindShape = unknown_shape) -> TrainingConfig:
        """The configuration on this base model; raises InputError for settings that cannot be."""
        return resolve_config(self.settings, self.data.config, base_model, find_shape)

    def recommended(self, base_model: str, find_shape: FindShape = unknown_shape) -> str | None:
        """The settings that were not told and are what suits this base model, in words."""
        return recommended_in_words(self.settings, self.data.config, base_model, find_shape)

    def examples(self, config: TrainingConfig) -> TrainingData:
        """The data, or the part of it that the configuration wants."""
        return subset_of(self.data, config.examples_per_condition, config.seed)


def new_order(settings: Mapping[str, Any], service: str | None) -> Order:
    """What was told; raises InputError for steps beside epochs, and as `order_of` does."""
    refuse_steps_with_epochs(settings)
    return order_of(settings, service)


def order_of(settings: Mapping[str, Any], service: str | None) -> Order:
    """Settings that were checked before; raises InputError without data, DataError for a file with faults."""
    if not isinstance(settings.get("data"), str):
        raise InputError("There is no data to train on; name a file with --data.")
    dev, columns = settings.get("dev"), columns_of(settings)
    return Order(
        settings,
        load_training_data(Path(settings["data"]), "train", columns),
        load_training_data(Path(dev), "dev", columns) if dev else None,
        service,
    )


def columns_of(settings: Mapping[str, Any]) -> Columns:
    """What the data files of a training call text and label."""
    return Columns(settings.get("text_column") or "input", settings.get("label_column") or "condition")


def order_to_repeat(name: str, told: Mapping[str, Any], service: str | None) -> Order:
    """The settings of a run, on the same data; raises RunError where that has changed."""
    refuse_steps_with_epochs(told)
    run = find_run(name)
    manifest, settings = run.manifest(), {**_config_of(run), **told}
    if told.get("epochs"):
        settings["steps"] = None
    order = order_of(settings, service or manifest["service_url"] or manifest["service"])
    check_same_data(run, order, told)
    return order if "base_model" in told else replace(order, base_model_sha256=run.base_model_sha256())


def check_same_data(
    run: RunDirectory, order: Order, told: Collection[str] = (), otherwise: str = "name another with --{key}"
) -> None:
    """Raises RunError where a file that was not told anew is not what the run was trained on.

    `otherwise` is what can be done but to restore the file.
    """
    manifest = run.manifest()
    for key, data in (("data", order.data), ("dev", order.dev)):
        if key not in told and data is not None and manifest[f"{key}_sha256"] != data.digest:
            raise RunError(
                f"{data.path} has changed since the run {run.name}, which cannot be had again from it; "
                f"restore the file, or {otherwise.format(key=key)}."
            )


def order_to_resume(name: str, service: str | None) -> Order:
    """An interrupted run; raises RunError for one that is finished."""
    run = find_run(name)
    if run.is_finished:
        raise RunError(f"The run {name} is finished; train another with --repeat {name} --run NEW.")
    order = order_to_repeat(name, {}, service)
    return replace(order, run=run)


def _config_of(run: RunDirectory) -> dict[str, Any]:
    try:
        return TrainingConfig.model_validate(run.config()).model_dump()
    except (ValidationError, OSError) as error:
        raise RunError(
            f"The run {run.name} was not made by 'symptoms train', so it cannot be resumed or repeated."
        ) from error
