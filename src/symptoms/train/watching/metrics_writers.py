"""Metrics for other programs, beside metrics.jsonl: TensorBoard and trackio, each an extra to install."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from symptoms.errors import InputError
from symptoms.runs.directory import RunDirectory
from symptoms.settings import TrainingSettings


class MetricsWriter(Protocol):
    """Where figures go, by step."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of one step."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class TensorBoardWriter:
    """Event files in the run directory: `tensorboard --logdir runs`."""

    def __init__(self, run: RunDirectory, after: int) -> None:
        # Events of steps that a resumed run repeats are dropped by the reader.
        self._writer = _module("tensorboardX", "tensorboard").SummaryWriter(
            str(run.path / "tensorboard"), purge_step=after + 1
        )

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of one step."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class TrackioWriter:
    """A run of trackio's project `symptoms` on this machine: `trackio show`."""

    def __init__(self, run: RunDirectory, settings: TrainingSettings) -> None:
        self._trackio = _module("trackio", "trackio")
        self._trackio.init(project="symptoms", name=run.name, config=settings.model_dump(), resume="allow")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of one step."""
        self._trackio.log(dict(figures), step=step)

    def close(self) -> None:
        """Write what is left."""
        self._trackio.finish()


def check_writers(settings: TrainingSettings) -> None:
    """Raises InputError, before anything is spent, where a package that is asked for is not installed."""
    for name in settings.log_to:
        _module({"tensorboard": "tensorboardX", "trackio": "trackio"}[name], name)


def open_writers(settings: TrainingSettings, run: RunDirectory, after: int) -> list[MetricsWriter]:
    """The writers that the configuration asks for, of a run that goes on after a step."""
    writers: list[MetricsWriter] = []
    if "tensorboard" in settings.log_to:
        writers.append(TensorBoardWriter(run, after))
    if "trackio" in settings.log_to:
        writers.append(TrackioWriter(run, settings))
    return writers


def _module(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        wanted = f"pip install '.[{extra}]' in the checkout"
        raise InputError(f"{name} is not installed; install it with: {wanted}") from error
