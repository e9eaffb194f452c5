"""A run directory: everything a training run leaves behind, readable at any moment.

runs/<name>/config.json        the settings that it was trained with
            manifest.json      data digest, labels, seed, versions, git revision, service
            metrics.jsonl      one line a step
            dev_metrics.jsonl  one line an evaluation on the dev data
            checkpoints.jsonl  one line a checkpoint that the service still has
            progress.json      from where to resume
            predictions.jsonl  one line a test case
            summary.json       losses, test cases, the final checkpoint
            calibration.json   temperature and threshold, once the run was evaluated with dev data
            words.npz          the model of words that has a vote beside it, once it was evaluated so
            symptoms.npz       the model of symptoms by which key symptoms are named, likewise
            accuracy.json      how often its likeliest label was right, once it was evaluated
            loss.png           the loss curve
            report.html        the same for people
            evaluation.json    figures on the test set that it was last evaluated on
            evaluations/       a folder for each of its test sets: the same, predictions and report
            ensemble.json      of an ensemble alone: the runs that answer together, in place of a training
            average.json       of an average alone: the runs whose weights it has the mean of, likewise
            lock               held by the process that trains it

A sweep keeps its runs in runs/<sweep>/<name>/, and they are called <sweep>/<name>.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from symptoms.data import Dataset, Label, labels_of_taxonomy
from symptoms.errors import RunError
from symptoms.runs.files import append_line, read_lines, rewrite_lines, write_json
from symptoms.runs.final_loss import final_loss
from symptoms.runs.lock import is_locked, locked
from symptoms.runs.manifest import manifest_of
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.stored_settings import read_stored, stored_as_they_are
from symptoms.runs.used_weights import CHOSEN, evaluation_of_used_weights
from symptoms.service import Service
from symptoms.settings import TrainingSettings
from symptoms.shipped import CLASSIFIER_RUN

RUNS = Path("runs")
ENSEMBLE_FILE, AVERAGE_FILE = "ensemble.json", "average.json"
TOGETHER = " + "
"""Stands between the checkpoints of an ensemble where it is named by them."""
BEFORE_THE_MANIFEST = {"lock", "config.json", ".config.json.partial", ".manifest.json.partial"}
"""What a run directory may hold before it is a run."""


@dataclass(frozen=True)
class Progress:
    """What is needed to go on after `step`: the state of adapter and optimizer, and which weights are kept.

    Those of `kept_step` are the best so far, or the last that were evaluated, as `best_by` says; `best_loss`
    is the lowest in either case.
    """

    step: int = 0
    state: str | None = None
    kept_step: int | None = None
    best_loss: float | None = None
    kept_checkpoint: str | None = None
    evaluations_since_best: int = 0


@dataclass(frozen=True)
class Member:
    """One of the runs of an ensemble or an average, by name, and the checkpoint by which it answers."""

    run: str
    checkpoint: str


class RunDirectory:
    """The files of one run. Lines are appended and flushed, so a killed run stays readable."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """What `find_run` knows it by: a run of a sweep is named with its sweep."""
        return self.path.relative_to(RUNS).as_posix() if self.path.is_relative_to(RUNS) else self.path.name

    @property
    def is_shipped(self) -> bool:
        """Whether it is the one that ships with the package, in which nothing is to be written."""
        return self.path == CLASSIFIER_RUN

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Keep other processes from training this run; raises RunError where one does already."""
        with locked(self.path / "lock", f"The run {self.name}"):
            yield

    @property
    def is_held(self) -> bool:
        """Whether a process trains it now, or works on it otherwise; see `held`."""
        return is_locked(self.path / "lock")

    @classmethod
    def check_name(cls, name: str, root: Path = RUNS) -> Path:
        """Where a new run of this name is to be; raises RunError if it can name none, or is taken."""
        if not name.strip(".") or any(c in name for c in "/\\\0"):
            raise RunError(f"{name!r} cannot name a run; use letters, digits and '-'.")
        if name == CLASSIFIER_RUN.name:
            raise RunError(f"{name!r} is what the classifier that ships is called; choose another name.")
        path = root / name
        # A start that was cut short has left no run yet that could be resumed or removed.
        if path.is_dir() and not {file.name for file in path.iterdir()} - BEFORE_THE_MANIFEST:
            return path
        if path.exists():
            raise RunError(f"The run {path} exists already; choose another name.")
        return path

    @classmethod
    def create(cls, name: str | None, root: Path = RUNS) -> RunDirectory:
        """A new directory, named by the time where no name is given; raises RunError if it is taken."""
        path = cls.check_name(name or datetime.now().strftime("%Y-%m-%d-%H%M%S"), root)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            cls.check_name(path.name, root)  # another may have been as quick
        except OSError as error:
            raise RunError(
                f"The run {path} cannot be written ({error.strerror}); work in another folder."
            ) from error
        return cls(path)

    def write_start(
        self,
        data: Dataset,
        settings: TrainingSettings,
        service: Service,
        loss_reduction: str = "sum over the trained tokens of a batch",
        **more: Any,
    ) -> None:
        """Settings and manifest, written before the first step; `more` goes into the manifest as it is."""
        write_json(self.path / "config.json", settings.model_dump())
        write_json(self.path / "manifest.json", manifest_of(data, settings, service, loss_reduction, more))

    def append_metrics(self, metrics: StepMetrics) -> None:
        """Add a step to metrics.jsonl; raises OSError where the disk refuses."""
        append_line(self.path / "metrics.jsonl", asdict(metrics))

    def append_checkpoint(self, path: str, step: int, kind: str) -> None:
        """Note a `tinker://` path of the weights after a step; `kind` is training, sampler, best or last."""
        append_line(self.path / "checkpoints.jsonl", {"path": path, "step": step, "kind": kind})

    def metrics(self) -> list[StepMetrics]:
        """The steps in the order in which they were taken; none before the first has ended."""
        return [StepMetrics(**line) for line in read_lines(self.path / "metrics.jsonl")]

    def append_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Add figures on dev with the `step` after which they were taken; losses are in nats per token."""
        append_line(self.path / "dev_metrics.jsonl", evaluation)

    def evaluations(self) -> list[dict[str, Any]]:
        """The lines of dev_metrics.jsonl, the earliest first; none where it trains without dev data."""
        return read_lines(self.path / "dev_metrics.jsonl")

    def checkpoints(self) -> list[dict[str, Any]]:
        """`path`, `step` and `kind` of each checkpoint that is not deleted, the oldest first."""
        return read_lines(self.path / "checkpoints.jsonl")

    def forget_checkpoints(self, paths: Sequence[str]) -> None:
        """Take the lines of checkpoints that are gone out of checkpoints.jsonl."""
        rewrite_lines(
            self.path / "checkpoints.jsonl",
            [line for line in self.checkpoints() if line["path"] not in paths],
        )

    @property
    def reads_sentence_case(self) -> bool:
        """Whether it was trained on texts in sentence case, so that it has to be asked in it, too."""
        return self.settings().sentence_case

    def members(self) -> tuple[Member, ...]:
        """The runs that answer together where this is an ensemble; none where it was trained itself."""
        return _members(self._joined(ENSEMBLE_FILE))

    def averaged(self) -> tuple[Member, ...]:
        """The runs whose weights this has the mean of; none where it was trained itself."""
        return _members(self._joined(AVERAGE_FILE))

    def settings_told(self) -> dict[str, Any]:
        """The settings in force.

        Of an ensemble or an average those its members share, and as `ensemble` or `average` their number.
        """
        settings = self.settings().in_force
        for kind, file in (("ensemble", ENSEMBLE_FILE), ("average", AVERAGE_FILE)):
            if joined := self._joined(file):
                shared = {key: value for key, value in settings.items() if key not in joined["differing"]}
                return {kind: len(joined["members"]), **shared}
        return settings

    def _joined(self, file: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def answering_checkpoints(self) -> tuple[str, ...]:
        """`final_checkpoint`; of an ensemble its members', whose answers are averaged."""
        return tuple(member.checkpoint for member in self.members()) or (self.final_checkpoint(),)

    def final_checkpoint(self) -> str:
        """The checkpoint that its `best_by` chose, else the last; of an ensemble its first member's.

        Raises RunError where none was saved.
        """
        if members := self.members():
            return members[0].checkpoint
        saved = self.checkpoints()
        if not saved:
            raise RunError(
                f"The run {self.path} has no checkpoint yet; let it finish, or choose another run."
            )
        for kind in (*CHOSEN, "sampler"):
            for line in reversed(saved):
                if line["kind"] == kind:
                    return line["path"]
        return saved[-1]["path"]

    def write_progress(self, progress: Progress) -> None:
        """Note, whole or not at all, from where this run can be resumed."""
        write_json(self.path / "progress.json", asdict(progress))

    def progress(self) -> Progress:
        """From where to resume; the beginning where nothing was noted yet."""
        try:
            noted = json.loads((self.path / "progress.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Progress()
        # As earlier versions called them, whether they were the best or the last.
        for name, earlier in (("kept_step", "best_step"), ("kept_checkpoint", "best_checkpoint")):
            if earlier in noted:
                noted[name] = noted.pop(earlier)
        return Progress(**noted)

    def rewind(self, step: int) -> list[str]:
        """Forget what was written after `step`; returns the checkpoints that belong to it."""
        for name in ("metrics.jsonl", "dev_metrics.jsonl"):
            rewrite_lines(
                self.path / name, [line for line in read_lines(self.path / name) if line["step"] <= step]
            )
        later = [line["path"] for line in self.checkpoints() if line["step"] > step]
        self.forget_checkpoints(later)
        return later

    @property
    def is_finished(self) -> bool:
        """Whether summary.json is there, which comes after the last step; without it a run may be resumed.

        Ensembles and averages have nothing to be trained.
        """
        return any((self.path / file).exists() for file in ("summary.json", ENSEMBLE_FILE, AVERAGE_FILE))

    @property
    def can_answer(self) -> bool:
        """Whether it is finished and has weights to be asked."""
        return self.is_finished and bool(self.checkpoints() or self.members())

    def summary(self) -> dict[str, Any]:
        """What summary.json of a finished run holds."""
        return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))

    def manifest(self) -> dict[str, Any]:
        """Raises RunError where the directory is not a run's."""
        try:
            return json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise RunError(
                f"{self.path} is not a run directory; train first, or give a tinker:// path."
            ) from error

    def labels(self) -> tuple[Label, ...]:
        """The labels it was trained to choose from; the bundled taxonomy's where the run is too old to tell.

        Raises RunError where its training texts named none.
        """
        stored: dict[str, str] | None = self.manifest().get("labels")
        if stored is None:
            return labels_of_taxonomy()
        if not stored:
            raise RunError(
                f"The run {self.path.name} was trained on texts without a 'Primary concern' line, so it has "
                "no labels to choose from; choose another run."
            )
        return tuple(Label(identifier, text) for identifier, text in stored.items())

    def base_model_sha256(self) -> str | None:
        """The digest of the base weights it was begun with, None where that was not known."""
        return self.manifest().get("base_model_sha256")

    def stored_settings(self) -> tuple[TrainingSettings, tuple[str, ...]]:
        """Its settings, and the names of those not understood; raises RunError where they cannot be read."""
        return read_stored(self.path, self.manifest())

    def settings(self) -> TrainingSettings:
        """The settings that it was trained with, as far as they are understood; raises RunError likewise."""
        return self.stored_settings()[0]

    def settings_not_understood(self) -> dict[str, Any]:
        """Those that another version alone knows, as it stored them; raises RunError likewise."""
        return stored_as_they_are(self.path, self.stored_settings()[1])

    def used_dev_loss(self) -> float | None:
        """The loss on dev of the weights that are used, in nats per trained token; None without dev data."""
        used = evaluation_of_used_weights(self.evaluations(), self.settings().best_by)
        return None if used is None else used["dev_loss"]

    def final_loss(self) -> float | None:
        """The mean loss over the last epoch's worth of steps; None before the run is finished."""
        # What goes on, or may be resumed, has no end yet.
        return final_loss(self.metrics()) if self.is_finished else None

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, and the test cases as predictions."""
        if summary["test_cases"]:
            rewrite_lines(self.path / "predictions.jsonl", summary["test_cases"])
        write_json(self.path / "summary.json", summary)


def _members(joined: Mapping[str, Any]) -> tuple[Member, ...]:
    return tuple(Member(**member) for member in joined.get("members", ()))
