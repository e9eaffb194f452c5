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
            accuracy.json      how often its likeliest label was right, once it was evaluated
            loss.png           the loss curve
            report.html        the same for people
            evaluation.json    figures on the test set that it was last evaluated on
            evaluations/       a folder for each of its test sets: the same, predictions and report
            lock               held by the process that trains it

A sweep keeps its runs in runs/<sweep>/<name>/, and they are called <sweep>/<name>.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from symptoms.data import Example, Label, labels_of_taxonomy, symptoms_of
from symptoms.errors import RunError
from symptoms.service import Service
from symptoms.settings import ExperimentSettings, TrainingSettings
from symptoms.tokens import TokenizedExample
from symptoms.train.final_loss import final_loss, final_loss_is
from symptoms.train.lock import locked
from symptoms.train.revision import git_revision
from symptoms.train.used_weights import LAST, evaluation_of_used_weights

RUNS = Path("runs")
VERSIONED = ("mental-health-symptom-classifier", "tinker", "torch", "transformers")
CHOSEN = ("best", LAST)
"""Kinds of checkpoints with the weights to use: where dev was lowest, or those of the last evaluation."""
BEFORE_THE_MANIFEST = {"lock", "config.json", ".config.json.partial", ".manifest.json.partial"}
"""What a run directory may hold before it is a run."""


class DataFile(Protocol):
    """What the manifest says of the training data."""

    @property
    def path(self) -> Path: ...
    @property
    def examples(self) -> Sequence[Example]: ...
    @property
    def labels(self) -> Sequence[Label]: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True)
class TestCase:
    """A description, the assessment wanted, and what the trained model wrote."""

    __test__ = False  # not a pytest class

    input: str
    expected: str
    output: str

    @property
    def match(self) -> bool:
        return self.output.strip() == self.expected.strip()


@dataclass(frozen=True)
class StepMetrics:
    """One line of metrics.jsonl; `loss` is the mean negative log-likelihood per trained token in nats."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    num_tokens: int
    num_trained_tokens: int
    seconds: float

    @classmethod
    def of(
        cls,
        step: int,
        epoch: int,
        loss: float,
        learning_rate: float,
        examples: Sequence[TokenizedExample],
        seconds: float,
    ) -> StepMetrics:
        """The line of a step on these examples."""
        num_tokens = sum(example.num_tokens for example in examples)
        num_trained_tokens = sum(example.num_trained_tokens for example in examples)
        return cls(step, epoch, loss, learning_rate, num_tokens, num_trained_tokens, round(seconds, 6))


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


class RunDirectory:
    """The files of one run. Lines are appended and flushed, so a killed run stays readable."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """What `find_run` knows it by: a run of a sweep is named with its sweep."""
        return self.path.relative_to(RUNS).as_posix() if self.path.is_relative_to(RUNS) else self.path.name

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Keep other processes from training this run; raises RunError where one does already."""
        with locked(self.path / "lock", f"The run {self.name}"):
            yield

    @classmethod
    def create(cls, name: str | None, root: Path = RUNS) -> RunDirectory:
        """A new directory, named by the time where no name is given; raises RunError if it is taken."""
        chosen = name or datetime.now().strftime("%Y-%m-%d-%H%M%S")
        if not chosen.strip(".") or any(c in chosen for c in "/\\\0"):
            raise RunError(f"{chosen!r} cannot name a run; use letters, digits and '-'.")
        path = root / chosen
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            # A start that was cut short has left no run yet that could be resumed or removed.
            if not path.is_dir() or {file.name for file in path.iterdir()} - BEFORE_THE_MANIFEST:
                raise RunError(f"The run {path} exists already; choose another name with --run.") from error
        except OSError as error:
            raise RunError(
                f"The run {path} cannot be written ({error.strerror}); work in another folder."
            ) from error
        return cls(path)

    def write_start(
        self,
        data: DataFile,
        settings: BaseModel,
        service: Service,
        loss_reduction: str = "sum over the trained tokens of a batch",
        **more: Any,
    ) -> None:
        """Settings and manifest, written before the first step; `more` goes into the manifest as it is."""
        told = settings.model_dump()
        self._write("config.json", told)
        manifest = {
            "data": str(data.path),
            "data_sha256": data.digest,
            "num_examples": len(data.examples),
            "labels": {label.id: label.text for label in data.labels},
            "symptoms": symptoms_of(data.examples),
            **more,
            "seed": told["seed"],
            "base_model": told["base_model"],
            "service": service.kind,
            "service_url": None if service.kind == "local" else service.url,
            "capabilities": service.offered,
            "training_dtype": service.training_dtype,
            "loss": "mean negative log-likelihood per trained token, in nats, from returned logprobs",
            "loss_reduction": loss_reduction,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
            "git_revision": git_revision(),
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        self._write("manifest.json", manifest)

    def append_metrics(self, metrics: StepMetrics) -> None:
        self._append("metrics.jsonl", asdict(metrics))

    def append_checkpoint(self, path: str, step: int, kind: str) -> None:
        self._append("checkpoints.jsonl", {"path": path, "step": step, "kind": kind})

    def metrics(self) -> list[StepMetrics]:
        return [StepMetrics(**line) for line in self._lines("metrics.jsonl")]

    def append_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        self._append("dev_metrics.jsonl", evaluation)

    def evaluations(self) -> list[dict[str, Any]]:
        return self._lines("dev_metrics.jsonl")

    def checkpoints(self) -> list[dict[str, Any]]:
        return self._lines("checkpoints.jsonl")

    def forget_checkpoints(self, paths: Sequence[str]) -> None:
        """Take the lines of checkpoints that are gone out of checkpoints.jsonl."""
        self._rewrite("checkpoints.jsonl", [line for line in self.checkpoints() if line["path"] not in paths])

    def final_checkpoint(self) -> str:
        """The checkpoint that its `best_by` chose, else the last; raises RunError where none was saved."""
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
        self._write("progress.json", asdict(progress))

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
            self._rewrite(name, [line for line in self._lines(name) if line["step"] <= step])
        later = [line["path"] for line in self.checkpoints() if line["step"] > step]
        self.forget_checkpoints(later)
        return later

    @property
    def is_finished(self) -> bool:
        return (self.path / "summary.json").exists()

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

    def config(self) -> dict[str, Any]:
        """The settings of the run as its config.json has them."""
        return json.loads((self.path / "config.json").read_text(encoding="utf-8"))

    def used_dev_loss(self) -> float | None:
        """The loss on dev of the weights that are used, in nats per trained token; None without dev data."""
        used = evaluation_of_used_weights(self.evaluations(), self.config().get("best_by", "dev_loss"))
        return None if used is None else used["dev_loss"]

    def final_loss(self) -> float | None:
        """The mean loss over the last epoch's worth of steps; None before the first step."""
        return final_loss(self.metrics())

    def summarise(
        self,
        settings: ExperimentSettings | TrainingSettings,
        service: Service,
        checkpoint: str,
        tests: Sequence[TestCase],
    ) -> dict[str, Any]:
        """What summary.json is to hold, from the metrics so far."""
        metrics = self.metrics()
        initial, final = metrics[0].loss, final_loss(metrics) or 0.0
        cases = [{**asdict(test), "match": test.match} for test in tests]
        summary: dict[str, Any] = {
            "initial_loss": initial,
            "initial_loss_is": "the first step's, before any update",
            "final_loss": final,
            "final_loss_is": final_loss_is(metrics),
            "reduction": 1 - final / initial,
            "test_cases": cases,
            "checkpoint": checkpoint,
            "base_model": settings.base_model,
            "service": service.kind,
            "num_steps": len(metrics),
            "train_seconds": sum(line.seconds for line in metrics),
        }
        if evaluations := self.evaluations():
            trained = settings if isinstance(settings, TrainingSettings) else None
            measure, best_by = (trained.dev_measure, trained.best_by) if trained else ("dev_loss", "dev_loss")
            best = min(evaluations, key=lambda line: line[measure])
            summary |= {"best_dev_loss": best["dev_loss"], "best_step": best["step"], "best_by": best_by}
            summary |= {"last_dev_loss": evaluations[-1]["dev_loss"]}
            used = evaluation_of_used_weights(evaluations, best_by) or best
            summary |= {"used_dev_loss": used["dev_loss"], "used_step": used["step"]}
        return summary

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, and the test cases as predictions."""
        if summary["test_cases"]:
            self._rewrite("predictions.jsonl", summary["test_cases"])
        self._write("summary.json", summary)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        self._replace(name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def _rewrite(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        if lines or (self.path / name).exists():
            self._replace(name, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    def _replace(self, name: str, text: str) -> None:
        """Write a file so that a reader finds the old or the new one, whatever happens in between."""
        partial = self.path / f".{name}.partial"
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path / name)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        with open(self.path / name, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        file = self.path / name
        if not file.exists():
            return []
        # What follows the last line break was being written when its writer was killed.
        return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def all_runs(root: Path = RUNS) -> list[RunDirectory]:
    """Every run, in the order in which they started."""
    found = [*root.glob("*/manifest.json"), *root.glob("*/*/manifest.json")]
    manifests = sorted(found, key=lambda path: path.stat().st_mtime)
    return [RunDirectory(path.parent) for path in manifests]


def newest_run(root: Path = RUNS) -> RunDirectory:
    """The run that started last among the finished ones with a checkpoint; raises RunError without any."""
    runs = all_runs(root)
    for run in reversed(runs):
        if run.is_finished and run.checkpoints():
            return run
    if runs:
        raise RunError(
            f"There is no finished run in {root}/; let one finish, or choose one that is not with --run "
            f"{runs[-1].name}."
        )
    raise RunError(f"There is no trained run in {root}/; run 'python train_mental_health.py' first.")


def find_run(name: str, root: Path = RUNS) -> RunDirectory:
    """A run by its name or its path; raises RunError where there is none."""
    for path in (root / name, Path(name)):
        if (path / "manifest.json").exists():
            return RunDirectory(path)
    raise RunError(f"There is no run {name!r}; give a name from {root}/ or a tinker:// path.")


def run_of_checkpoint(checkpoint: str, root: Path = RUNS) -> RunDirectory | None:
    """The run that saved a checkpoint, the newest of them; None where none did."""
    for run in reversed(all_runs(root)):
        if any(line["path"] == checkpoint for line in run.checkpoints()):
            return run
    return None
