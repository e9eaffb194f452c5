"""The table of stored results: a row for each model, training set and settings, and the baselines."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    "accuracy",
    "of the likeliest label",
    "readable answers",
    "accuracy, surest 80%",
    "calibration error",
)


@dataclass(frozen=True)
class ResultRow:
    """Scores of one model trained several times; the table has their means and ranges.

    `label_accuracies` and `parse_rates` are those of models that write, and empty for others. `further` has
    the scores on each further test set, none where an older result lacks them.
    """

    name: str
    trained_on: str
    scores: tuple[Scores, ...]
    label_accuracies: tuple[float, ...] = ()
    parse_rates: tuple[float, ...] = ()
    repeats: bool = True
    further: tuple[tuple[Scores, ...], ...] = ()

    def markdown(self) -> str:
        """One row without a line break; a figure is its mean and range over seeds, empty where not known."""
        figures = (
            [one.macro_f1.value for one in self.scores],
            *([one.macro_f1.value for one in scores] for scores in self.further),
            [one.accuracy.value for one in self.scores],
            self.label_accuracies,
            self.parse_rates,
            [one.accuracy_at_80_coverage for one in self.scores],
            [one.calibration.ece for one in self.scores],
        )
        seeds = str(len(self.scores)) if self.repeats else ""
        cells = (self.name, self.trained_on, seeds, *map(_mean_and_range, figures))
        return f"| {' | '.join(cells)} |"


def results_table(evaluations: Sequence[Evaluation]) -> str:
    """Markdown; raises InputError for results of different test sets, which cannot be compared."""
    tests = {evaluation.test.sha256 for evaluation in evaluations}
    if len(tests) != 1:
        raise InputError("These results are of different test sets; choose results of one.")
    further = _further_tests(evaluations)
    groups = list(_groups(evaluations))
    rows = [*_models(groups, list(further)), *_baselines(groups, list(further))]
    rows.sort(key=lambda row: -float(np.mean([one.macro_f1.value for one in row.scores])))
    headings = [
        "macro-F1",
        *(f"macro-F1, {Path(one.path).stem}" for one in further.values()),
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
        trained_on = "not known" if count is None else counted(count, "example")
        yield ResultRow(
            f"**{base_model}, fine-tuned{_with_words(mine[0])}{group.told}** ({service})",
            trained_on,
            tuple(one.scores for one in mine),
            tuple(one.by_label.accuracy.value for one in mine),
            tuple(one.written.parse_rate for one in mine),
            further=tuple(
                tuple(test.scores for one in mine for test in one.further if test.sha256 == digest)
                for digest in further
            ),
        )


def _baselines(groups: Sequence[_Group], further: Sequence[str]) -> Iterable[ResultRow]:
    """Those of each training set that has any, once; they have no seeds worth the name."""
    seen: set[tuple[str, str]] = set()
    for told, evaluation in ((group.told, one) for group in groups for one in group.evaluations):
        count = evaluation.subject.num_trained_on
        for baseline in evaluation.baselines:
            untrained = baseline.name.startswith(BASE_MODEL)
            # The table has several base models, so that this one is told by its name.
            own = evaluation.subject.base_model
            name = baseline.name.replace(BASE_MODEL, own, 1) if untrained else baseline.name
            name = name.replace(MODEL_ALONE, f"{own}, fine-tuned, {MODEL_ALONE}{told}")
            trained_on = "" if untrained or count is None else counted(count, "example")
            if (name, trained_on) not in seen:
                seen.add((name, trained_on))
                elsewhere = tuple(_on_further(evaluation, digest, baseline.name) for digest in further)
                yield ResultRow(name, trained_on, (baseline.scores,), repeats=False, further=elsewhere)


def _on_further(evaluation: Evaluation, digest: str, name: str) -> tuple[Scores, ...]:
    """A baseline's scores on a further test set, none where the result lacks them."""
    tests = [test for test in evaluation.further if test.sha256 == digest]
    return tuple(one.scores for test in tests for one in test.baselines if one.name == name)


def _mean_and_range(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


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
