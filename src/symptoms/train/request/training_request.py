"""What is to be trained, as it was told: anew, again, or from where it was interrupted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from symptoms.data import check_leakage
from symptoms.data.files.records import columns_called
from symptoms.errors import RunError
from symptoms.runs.catalogue import find_run
from symptoms.runs.directory import RunDirectory
from symptoms.runs.joined import refuse_untrained
from symptoms.settings import TrainingSettings
from symptoms.train.request.learning_rate_by_width import FindShape, unknown_shape
from symptoms.train.request.recommended_settings import Resolved, resolve
from symptoms.train.request.settings_file import refuse_steps_with_epochs
from symptoms.train.request.training_data import TrainingData, load_training_data, subset_of


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained: settings as they were told, data, and the run to go on with if there is one.

    `base_model_sha256` is the digest that the base weights have to have, None for any.
    """

    told: TrainingSettings
    data: TrainingData
    dev: TrainingData | None
    service: str | None
    run: RunDirectory | None = None
    base_model_sha256: str | None = None

    @property
    def base_model(self) -> str | None:
        """The base model that was told, None where none was."""
        return self.told.told.get("base_model")

    @property
    def preferred_base_model(self) -> str | None:
        """The base model that an experiment's file names, None for other data."""
        return None if self.data.experiment is None else self.data.experiment.settings.base_model

    def resolved(self, base_model: str | None, find_shape: FindShape = unknown_shape) -> Resolved:
        """The settings on this base model; raises InputError where they do not fit together."""
        return resolve(
            self.told,
            self.data.experiment,
            base_model,
            find_shape,
            lambda settings: len(self.examples(settings).examples),
        )

    def examples(self, settings: TrainingSettings) -> TrainingData:
        """The data, or the part of it that the settings want."""
        return subset_of(self.data, settings.examples_per_condition, settings.seed)


def new_request(told: Mapping[str, Any], service: str | None) -> TrainingRequest:
    """What was told; raises InputError for steps beside epochs, and as `request_of` does."""
    refuse_steps_with_epochs(told)
    return request_of(TrainingSettings.of(told), service)


def request_of(told: TrainingSettings, service: str | None) -> TrainingRequest:
    """The request of these settings, with its data.

    Raises DataError for a file with faults, and where dev has texts of the training data, by which nobody
    could tell how good the weights are.
    """
    return _held_out(_read(told, service))


def _held_out(request: TrainingRequest) -> TrainingRequest:
    if request.dev is not None:
        check_leakage(request.data, request.dev, request.told.allow_duplicate)
    return request


def _read(told: TrainingSettings, service: str | None) -> TrainingRequest:
    columns = columns_called(told.text_column, told.label_column)
    data = load_training_data(Path(told.data), "train", columns)
    dev = None
    if told.dev:
        # Its loss is of the same lines as the training's.
        dev = load_training_data(Path(told.dev), "dev", columns, data.names_concern_alone)
    return TrainingRequest(told, data, dev, service)


def request_to_repeat(name: str, told: Mapping[str, Any], service: str | None) -> TrainingRequest:
    """The settings of a run, on the same data; raises RunError where that has changed."""
    return _held_out(_as_begun(name, told, service))


def _as_begun(name: str, told: Mapping[str, Any], service: str | None) -> TrainingRequest:
    refuse_steps_with_epochs(told)
    run = find_run(name)
    refuse_untrained(run)
    manifest, settings = run.manifest(), {**_understood(run).model_dump(), **told}
    if told.get("epochs"):
        settings["steps"] = None
    if "dev" in told and "allow_duplicate" not in told:
        settings["allow_duplicate"] = []
    request = _read(TrainingSettings.of(settings), service or manifest["service_url"] or manifest["service"])
    check_same_data(run, request, told)
    return request if "base_model" in told else replace(request, base_model_sha256=run.base_model_sha256())


def check_same_data(
    run: RunDirectory,
    request: TrainingRequest,
    told: Collection[str] = (),
    otherwise: str = "name another with --{key}",
) -> None:
    """Raises RunError where a file that was not told anew is not what the run was trained on.

    `otherwise` is what can be done but to restore the file.
    """
    manifest = run.manifest()
    for key, data in (("data", request.data), ("dev", request.dev)):
        if key not in told and data is not None and manifest[f"{key}_sha256"] != data.digest:
            raise RunError(
                f"{data.path} has changed since the run {run.name}, which cannot be had again from it; "
                f"restore the file, or {otherwise.format(key=key)}."
            )


def request_to_resume(name: str, service: str | None) -> TrainingRequest:
    """An interrupted run; raises RunError for one that is finished."""
    run = find_run(name)
    refuse_untrained(run)
    if run.is_finished:
        raise RunError(f"The run {name} is finished; train another with --repeat {name} --run NEW.")
    if "num_steps" not in run.manifest():
        raise RunError(
            f"The run {name} is of train_mental_health.py, which keeps nothing to resume from; train it anew "
            f"with --repeat {name} --run NEW."
        )
    # What was begun goes on, whatever a version of before let pass.
    return replace(_as_begun(name, {}, service), run=run)


def _understood(run: RunDirectory) -> TrainingSettings:
    settings, not_understood = run.stored_settings()
    if not_understood:
        raise RunError(
            f"The run {run.name} is of another version, which has settings that this one does not understand "
            f"({', '.join(not_understood)}), so it cannot be resumed or repeated; use that version."
        )
    return settings
