"""Runs side by side: what differs between them, what came of them, and whether that may be chance.

Runs that differ in nothing but the seed form a group. Figures are means over a group's runs; intervals and
differences come from the test examples, paired where both groups answered the same ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symptoms.errors import InputError
from symptoms.evaluate.evaluation_file import (
    EVALUATION_FILE,
    PREDICTIONS_FILE,
    Evaluation,
    evaluation_folder,
    read_evaluation,
)
from symptoms.evaluate.measures.intervals import (
    Interval,
    Statistic,
    accuracy_statistic,
    bootstrap_interval,
    difference,
    interval_of_share,
    macro_f1_statistic,
)
from symptoms.evaluate.predictions import Prediction, read_predictions
from symptoms.runs import RunDirectory
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.summary import dollars_spent
from symptoms.runs.used_weights import evaluation_of_used_weights

ONLY_WATCHING = frozenset(
    {"evaluate_every", "dev_accuracy", "checkpoint_every", "keep_checkpoints", "log_to", "allow_duplicate"}
)
"""Settings that change nothing in what is learnt."""
FEW_SETTINGS = 3
SERVICE_SETTING = "service"
DIGESTS = {"data_sha256": "data digest", "dev_sha256": "dev digest", "base_model_sha256": "base weights"}
"""What the manifest knows files by, which may change under one name, and what is said for it here."""
DIGEST_SHOWN = 8


@dataclass(frozen=True)
class ComparedRun:
    """One run. `dollars` is 0 off hosted Tinker and None where the price is not known.

    `answers` are those to the test set of `evaluation`, None where they are gone.
    """

    name: str
    seed: int | None
    settings: dict[str, Any]
    is_finished: bool
    metrics: tuple[StepMetrics, ...]
    dev: tuple[dict[str, Any], ...]
    final_loss: float | None
    dollars: float | None
    evaluation: Evaluation | None
    answers: tuple[Prediction, ...] | None

    @property
    def seconds(self) -> float:
        """Seconds that its steps took, without the evaluations on dev between them."""
        return sum(line.seconds for line in self.metrics)

    @property
    def num_tokens(self) -> int:
        """Tokens of all its steps, prompts included; an example counts once in every epoch."""
        return sum(line.num_tokens for line in self.metrics)

    @property
    def used_dev(self) -> dict[str, Any]:
        """The evaluation on dev of the weights that the run uses, by its `best_by`; empty without any."""
        return evaluation_of_used_weights(self.dev, self.settings.get("best_by", "dev_loss")) or {}


@dataclass(frozen=True)
class Spread:
    """A figure over the runs of a group: mean, smallest, largest, and how many runs have it."""

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """Over the values that are there; None for none."""
        known = [value for value in values if value is not None]
        return cls(float(np.mean(known)), min(known), max(known), len(known)) if known else None


@dataclass(frozen=True)
class TestFigures:
    """Means over a group's runs with 95% bootstrap intervals over the test examples.

    For `accuracy` and `macro_f1` an answer is right where the likeliest label is and what was written can be
    read; for `label_accuracy` the label is enough. `parse_rate` is the share that can be read. The
    differences are this group's figures less the first group's on the same examples.
    """

    __test__ = False  # not a pytest class

    accuracy: Interval
    macro_f1: Interval
    label_accuracy: Interval
    parse_rate: float
    accuracy_difference: Interval | None
    macro_f1_difference: Interval | None
    label_accuracy_difference: Interval | None


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed."""

    name: str
    settings: dict[str, Any]
    runs: tuple[ComparedRun, ...]
    test: TestFigures | None

    @property
    def num_texts(self) -> int:
        """How many test texts its figures are of; 0 where there are no answers to any."""
        return len(self.runs[0].answers or ())

    def spread(self, figure: Callable[[ComparedRun], float | None]) -> Spread | None:
        """Mean and range of a figure over the runs that have it; None where none of them has."""
        return Spread.of([figure(run) for run in self.runs])

    @property
    def dollars(self) -> float | None:
        """The price of all its runs, 0 off hosted Tinker; None where that of any is not known."""
        known = [run.dollars for run in self.runs if run.dollars is not None]
        return sum(known) if len(known) == len(self.runs) else None


@dataclass(frozen=True)
class Comparison:
    """Groups in the order of their first runs; `differing` are the settings that are not the same in all.

    `test` is the path of the test set that all figures on test are of, None without any.
    """

    differing: tuple[str, ...]
    groups: tuple[Group, ...]
    test: str | None
    notes: tuple[str, ...]


def read_run(run: RunDirectory) -> ComparedRun:
    """A run as its directory has it; raises RunError where that is not a run's."""
    manifest, metrics, dev = run.manifest(), run.metrics(), run.evaluations()
    settings = {
        **run.settings_told(),
        # Nobody here knows what these do, so that runs which differ in them are not the same.
        **run.settings_not_understood(),
        SERVICE_SETTING: manifest["service_url"] or manifest["service"],
    }
    for key, said in DIGESTS.items():
        digest: str | None = manifest.get(key)
        settings[said] = digest and digest[:DIGEST_SHOWN]
    seed: int | None = settings.pop("seed", None)
    dollars = dollars_spent(manifest, metrics, len(dev)) if manifest["service"] == "hosted" else 0.0
    file = run.path / EVALUATION_FILE
    evaluation = read_evaluation(file) if file.exists() else None
    return ComparedRun(
        name=run.name,
        seed=seed,
        settings=settings,
        is_finished=run.is_finished,
        metrics=tuple(metrics),
        dev=tuple(dev),
        final_loss=run.final_loss(),
        dollars=dollars,
        evaluation=evaluation,
        answers=None if evaluation is None else _answers(run.path, evaluation),
    )


def compare(runs: Sequence[ComparedRun]) -> Comparison:
    """The comparison of one run or more, the first of them being what others are compared with."""
    if not runs:
        raise InputError("There are no runs to compare yet; train some first.")
    keys = list(dict.fromkeys(key for run in runs for key in run.settings))
    texts = {key: {_text(run.settings.get(key)) for run in runs} for key in keys}
    differing = tuple(key for key in keys if len(texts[key]) > 1)
    members: dict[str, list[ComparedRun]] = {}
    for run in runs:
        members.setdefault(_text(run.settings), []).append(run)
    tested = next((run.evaluation.test for run in runs if run.evaluation and run.answers), None)
    digest = tested.sha256 if tested else None
    first = next(iter(members.values()))
    reference = _statistics(first, digest)
    groups: list[Group] = []
    for own in members.values():
        settings = {key: own[0].settings.get(key) for key in differing}
        compared_with = None if own is first else reference
        groups.append(Group(_name(own, settings), settings, tuple(own), _tested(own, digest, compared_with)))
    groups = _told_apart(groups)
    return Comparison(
        differing, tuple(groups), tested.path if tested else None, tuple(_notes(runs, groups, digest))
    )


def _answers(run: Path, evaluation: Evaluation) -> tuple[Prediction, ...] | None:
    """The predictions that the evaluation was made from; None where they are gone."""
    folder = evaluation_folder(run, evaluation.test)
    # Earlier versions kept them in the run directory itself.
    file = (folder if folder.exists() else run) / PREDICTIONS_FILE
    if not file.exists():
        return None
    try:
        predictions = read_predictions(file)
    except ValueError:
        # The test cases of an experiment are kept in a file of the same name.
        return None
    if len(predictions) != evaluation.scores.n:
        return None
    right = float(np.mean([one.answered == one.condition for one in predictions]))
    return tuple(predictions) if abs(right - evaluation.scores.accuracy.value) < 1e-9 else None


@dataclass(frozen=True)
class _Statistics:
    """Figures of a group as functions of the test examples that are looked at."""

    ids: tuple[str, ...]
    accuracy: Statistic
    macro_f1: Statistic
    label_accuracy: Statistic
    parse_rate: float


def _statistics(runs: Sequence[ComparedRun], digest: str | None) -> _Statistics | None:
    """None where one of the runs has no answers to this test set."""
    accuracies: list[Statistic] = []
    macro_f1s: list[Statistic] = []
    label_accuracies: list[Statistic] = []
    readable: list[bool] = []
    ids: tuple[str, ...] = ()
    for run in runs:
        if run.answers is None or run.evaluation is None or run.evaluation.test.sha256 != digest:
            return None
        ids = tuple(one.id for one in run.answers)
        wanted = [one.condition for one in run.answers]
        answered = [one.answered for one in run.answers]
        accuracies.append(accuracy_statistic(wanted, answered))
        macro_f1s.append(macro_f1_statistic(wanted, answered))
        label_accuracies.append(accuracy_statistic(wanted, [one.predicted for one in run.answers]))
        readable += [one.is_parsed for one in run.answers if one.asked_to_write]
    return _Statistics(
        ids,
        reduce_to_mean(accuracies),
        reduce_to_mean(macro_f1s),
        reduce_to_mean(label_accuracies),
        float(np.mean(readable)),
    )


def reduce_to_mean(statistics: Sequence[Statistic]) -> Statistic:
    """The mean of figures on the same examples."""

    def mean(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        nothing = np.zeros(len(chosen))
        return reduce(lambda total, one: total + one(chosen), statistics, nothing) / len(statistics)

    return mean


def _tested(
    runs: Sequence[ComparedRun], digest: str | None, reference: _Statistics | None
) -> TestFigures | None:
    own = _statistics(runs, digest)
    if own is None:
        return None
    size = len(own.ids)
    paired = reference if reference is not None and reference.ids == own.ids else None

    def less_reference(figure: Callable[[_Statistics], Statistic]) -> Interval | None:
        return paired and bootstrap_interval(difference(figure(own), figure(paired)), size)

    return TestFigures(
        accuracy=interval_of_share(bootstrap_interval(own.accuracy, size), size),
        macro_f1=bootstrap_interval(own.macro_f1, size),
        label_accuracy=interval_of_share(bootstrap_interval(own.label_accuracy, size), size),
        parse_rate=own.parse_rate,
        accuracy_difference=less_reference(lambda one: one.accuracy),
        macro_f1_difference=less_reference(lambda one: one.macro_f1),
        label_accuracy_difference=less_reference(lambda one: one.label_accuracy),
    )


def _name(runs: Sequence[ComparedRun], differing: dict[str, Any]) -> str:
    # What only watches a run is left out, where anything else tells it from others; so are digests.
    left_out = ONLY_WATCHING | set(DIGESTS.values())
    settings = {key: value for key, value in differing.items() if key not in left_out} or differing
    if settings and len(settings) <= FEW_SETTINGS:
        return ", ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in settings.items())
    name = runs[0].name
    return name.removesuffix(f"-seed{runs[0].seed}") if len(runs) > 1 else name


def _told_apart(groups: Sequence[Group]) -> list[Group]:
    """Groups of one name get their digests into it, since nothing else is different between them."""
    counts = Counter(group.name for group in groups)
    return [
        replace(group, name=", ".join([group.name, *_digests(group)])) if counts[group.name] > 1 else group
        for group in groups
    ]


def _digests(group: Group) -> list[str]:
    return [f"{key} {_shown(group.settings[key])}" for key in DIGESTS.values() if key in group.settings]


def _notes(runs: Sequence[ComparedRun], groups: Sequence[Group], digest: str | None) -> list[str]:
    """What has to be known to read the figures."""
    notes: list[str] = []
    unfinished = [run.name for run in runs if not run.is_finished]
    if unfinished:
        notes.append(f"Not finished yet: {', '.join(unfinished)}.")
    without = [group.name for group in groups if group.test is None]
    if digest is None:
        notes.append("No run was evaluated on a test set; symptoms evaluate does that.")
    elif without:
        notes.append(f"Without figures on this test set, or not for every seed: {'; '.join(without)}.")
    if any(len(group.runs) == 1 and group.runs[0].seed is not None for group in groups):
        notes.append("Where there is one seed, its luck cannot be told from the effect of a setting.")
    return notes


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.rstrip("/").rsplit("/", 1)[-1]
