"""The table of stored results: a row for each model, training set and settings, and the baselines."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from symptoms.errors import InputError
from symptoms.evaluate.evaluation_file import Evaluation, FurtherTest
from symptoms.evaluate.fitting.fitted_on_dev import MODEL_ALONE
from symptoms.evaluate.measures.scores import Scores
from symptoms.words import counted, in_words

BASE_MODEL = "base model"
BEGIN, END = "<!-- results begin -->", "<!-- results end -->"
FIGURE_COLUMNS = (
    "of the likeliest label",
    "readable answers",
    "accuracy, surest 80%",
    "calibration error",
)


@dataclass(frozen=True)
class ResultRow:
    """Scores of one model trained several times; the table has their means and ranges.

    `num_trained_on` is None for what was not trained, on nobody knows what, or is the same for all sizes.
    `label_accuracies` and `parse_rates` are those of models that write, and empty for others. `further` has
    the scores on each further test set, none where a result lacks them.
    """

    name: str
    num_trained_on: int | None
    scores: tuple[Scores, ...]
    label_accuracies: tuple[float, ...] = ()
    parse_rates: tuple[float, ...] = ()
    repeats: bool = True
    further: tuple[tuple[Scores, ...], ...] = ()

    @property
    def macro_f1(self) -> float:
        """The mean over seeds."""
        return float(np.mean([one.macro_f1.value for one in self.scores]))

    def markdown(self) -> str:
        """One row without a line break; a figure is its mean and range over seeds, empty where not known."""
        seeds = str(len(self.scores)) if self.repeats else ""
        trained_on = "" if self.num_trained_on is None else counted(self.num_trained_on, "example")
        return f"| {' | '.join((self.name, trained_on, seeds, *self.figures()))} |"

    def figures(self) -> tuple[str, ...]:
        """The cells with figures, each a mean with its range."""
        figures = (
            [one.macro_f1.value for one in self.scores],
            *([one.macro_f1.value for one in scores] for scores in self.further),
            [one.accuracy.value for one in self.scores],
            *([one.accuracy.value for one in scores] for scores in self.further),
            self.label_accuracies,
            self.parse_rates,
            [one.accuracy_at_80_coverage for one in self.scores],
            [one.calibration.ece for one in self.scores],
        )
        return tuple(map(_mean_and_range, figures))


def results_table(evaluations: Sequence[Evaluation]) -> str:
    """Markdown; raises InputError for results of different test sets, which cannot be compared."""
    tests = {evaluation.test.sha256 for evaluation in evaluations}
    if len(tests) != 1:
        raise InputError("These results are of different test sets; choose results of one.")
    further = _further_tests(evaluations)
    groups = list(_groups(evaluations))
    rows = [*_models(groups, list(further)), *_baselines(groups, list(further))]
    # What learned from as much stands together: models beside the baselines of the same texts.
    rows.sort(key=lambda row: (-(row.num_trained_on or 0), -row.macro_f1))
    elsewhere = [Path(one.path).stem for one in further.values()]
    headings = [
        *("macro-F1", *(f"macro-F1, {test}" for test in elsewhere)),
        *("accuracy", *(f"accuracy, {test}" for test in elsewhere)),
        *FIGURE_COLUMNS,
    ]
    tested = " and ".join(f"{one.n} of {one.path}" for one in (evaluations[0].test, *further.values()))
    return "\n".join(
        [
            f"| model | trained on | seeds | {' | '.join(headings)} |",
            "|---" * (len(headings) + 3) + "|",
            *(row.markdown() for row in rows),
            "",
            f"Means over seeds, with the range in brackets; test texts: {tested}.",
            f"A 95% interval of macro-F1 reaches about {_half_width(evaluations):.2f} to either side.",
        ]
    )


def _further_tests(evaluations: Sequence[Evaluation]) -> dict[str, FurtherTest]:
    """The further test sets that any result has, by their digest."""
    return {one.sha256: one for evaluation in evaluations for one in evaluation.further}


@dataclass(frozen=True)
class _Group:
    """Results that differ in the seed of the training alone, which may be averaged.

    `told` is what tells them from others of the same model and training set, after a comma; "" for nothing.
    """

    evaluations: tuple[Evaluation, ...]
    told: str


def _groups(evaluations: Sequence[Evaluation]) -> Iterable[_Group]:
    alike: dict[tuple[str, str, int | None, str], list[Evaluation]] = {}
    for evaluation in evaluations:
        subject = evaluation.subject
        key = (subject.base_model, subject.service, subject.num_trained_on, _with_words(evaluation))
        alike.setdefault(key, []).append(evaluation)
    for mine in alike.values():
        by_settings: dict[str, list[Evaluation]] = {}
        for evaluation in mine:
            settings = json.dumps(_settings_but_seed(evaluation), sort_keys=True)
            by_settings.setdefault(settings, []).append(evaluation)
        for own in by_settings.values():
            differing = {
                key: value
                for key, value in _settings_but_seed(own[0]).items()
                if any(_settings_but_seed(other).get(key) != value for other in mine)
            }
            told = f", {in_words(differing)}" if differing else ""
            seeds = [one.subject.settings.get("seed") for one in own]
            if len(own) == 1 or (None not in seeds and len(set(seeds)) == len(own)):
                yield _Group(tuple(own), told)
            else:
                # Of one seed twice, something differs that was not recorded, or nothing: no mean over seeds.
                yield from (_Group((one,), f"{told}, {one.subject.name}") for one in own)


def _settings_but_seed(evaluation: Evaluation) -> dict[str, Any]:
    return {key: value for key, value in evaluation.subject.settings.items() if key != "seed"}


def _with_words(evaluation: Evaluation) -> str:
    return ", with the words' vote" if evaluation.word_weight else ""


def _models(groups: Sequence[_Group], further: Sequence[str]) -> Iterable[ResultRow]:
    for group in groups:
        mine, subject = group.evaluations, group.evaluations[0].subject
        base_model, service, count = subject.base_model, subject.service, subject.num_trained_on
        unknown = ", on what is not known" if count is None else ""
        yield ResultRow(
            f"**{base_model}, fine-tuned{unknown}{_with_words(mine[0])}{group.told}** ({service})",
            count,
            tuple(one.scores for one in mine),
            tuple(one.by_label.accuracy.value for one in mine),
            tuple(one.written.parse_rate for one in mine),
            further=tuple(
                tuple(test.scores for one in mine for test in one.further if test.sha256 == digest)
                for digest in further
            ),
        )


def _baselines(groups: Sequence[_Group], further: Sequence[str]) -> Iterable[ResultRow]:
    """A row for each baseline and size of the training set, over the results that have most test sets."""
    found: dict[tuple[str, int | None], dict[tuple[tuple[Scores, ...], ...], None]] = {}
    for told, evaluation in ((group.told, one) for group in groups for one in group.evaluations):
        for baseline in evaluation.baselines:
            untrained = baseline.name.startswith(BASE_MODEL)
            # The table has several base models, so that this one is told by its name.
            own = evaluation.subject.base_model
            name = baseline.name.replace(BASE_MODEL, own, 1) if untrained else baseline.name
            name = name.replace(MODEL_ALONE, f"{own}, fine-tuned, {MODEL_ALONE}{told}")
            count = None if untrained else evaluation.subject.num_trained_on
            elsewhere = (_on_further(evaluation, digest, baseline.name) for digest in further)
            # Where seeds do not draw the examples, each has the same baseline.
            found.setdefault((name, count), {})[((baseline.scores,), *elsewhere)] = None
    rows = [_baseline_row(name, count, list(every)) for (name, count), every in found.items()]
    for name in dict.fromkeys(row.name for row in rows):
        mine = [row for row in rows if row.name == name]
        # What is the same whatever it was trained on, as the majority of even classes, takes one row.
        is_same = len({row.figures() for row in mine}) == 1
        yield from [replace(mine[0], num_trained_on=None)] if is_same and len(mine) > 1 else mine


def _baseline_row(
    name: str, num_trained_on: int | None, results: Sequence[tuple[tuple[Scores, ...], ...]]
) -> ResultRow:
    most = max(sum(map(len, one)) for one in results)
    tests = zip(*(one for one in results if sum(map(len, one)) == most), strict=True)
    first, *others = [tuple(chain.from_iterable(scores)) for scores in tests]
    return ResultRow(name, num_trained_on, first, repeats=False, further=tuple(others))


def _on_further(evaluation: Evaluation, digest: str, name: str) -> tuple[Scores, ...]:
    """A baseline's scores on a further test set, none where the result lacks them."""
    tests = [test for test in evaluation.further if test.sha256 == digest]
    return tuple(one.scores for test in tests for one in test.baselines if one.name == name)


def _mean_and_range(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean, low, high = (f"{value:.2f}" for value in (np.mean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def _half_width(evaluations: Sequence[Evaluation]) -> float:
    return float(np.mean([(one.scores.macro_f1.high - one.scores.macro_f1.low) / 2 for one in evaluations]))


def replace_table(file: Path, table: str) -> None:
    """Put a table between a Markdown file's two marker lines; raises InputError where they are missing."""
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{file} lacks the lines {BEGIN} and {END}; add them where the table should stand.")
    file.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
