"""The examples of a data file, as they are trained or evaluated on, or a part of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from symptoms.data import Example, Label, assessment_of, load_dataset, load_experiment
from symptoms.data.files.records import AS_OURS, Columns, holds_experiment
from symptoms.data.subset import choose_per_condition, of_split
from symptoms.errors import InputError
from symptoms.settings import ExperimentSettings


@dataclass(frozen=True)
class TrainingData:
    """What is trained or evaluated on, and where it is from. `digest` is the SHA-256 of the file's bytes.

    `labels` are those that a model trained on it chooses from, empty where the texts name no concern.
    `experiment` and `test_cases` are those of an experiment's file, None and empty for others; `note` says
    which examples of the file were left out. `subset` says how a part of them was drawn, for the manifest.
    """

    path: Path
    examples: tuple[Example, ...]
    labels: tuple[Label, ...]
    digest: str
    experiment: ExperimentSettings | None = None
    test_cases: tuple[Example, ...] = ()
    note: str | None = None
    subset: Mapping[str, Any] | None = None


def load_training_data(
    path: Path, split: Literal["train", "dev"], columns: Columns = AS_OURS
) -> TrainingData:
    """The examples of a data set, or of an experiment's file as they stand in it.

    Of a file whose examples are of several splits only those of `split` are taken. Raises DataError with
    every fault in the file, and InputError where an example has no assessment to train towards.
    """
    if not path.is_dir() and holds_experiment(path):
        experiment = load_experiment(path)
        return TrainingData(
            path,
            experiment.examples,
            experiment.labels,
            experiment.digest,
            experiment=experiment.settings,
            test_cases=experiment.test_cases,
        )
    dataset = load_dataset(path, columns=columns)
    chosen = of_split(dataset, split)
    count, whole = len(chosen.examples), len(dataset.examples)
    taken = [] if count == whole else [f"{path}: taking the {count} of {whole} examples of split {split}"]
    note = "\n".join([*dataset.notes, *taken]) or None
    for example in chosen.examples:
        assessment_of(example)  # one without is told now, and not when the tokens are made
    return TrainingData(path, chosen.examples, dataset.labels, dataset.digest, note=note)


def subset_of(data: TrainingData, examples_per_condition: int | None, seed: int) -> TrainingData:
    """So many examples of each condition, or all data for None; the same ones for the same seed.

    A condition is what stands in the line of the primary concern. Test cases that are not among the
    examples any more are left out. Raises InputError for an output that is not an assessment.
    """
    if examples_per_condition is None:
        return data
    conditions = [_concern(data, example) for example in data.examples]
    places = choose_per_condition(conditions, examples_per_condition, seed)
    examples = tuple(data.examples[place] for place in places)
    chosen = Counter(conditions[place] for place in places)
    fewer = {name: count for name, count in chosen.items() if count < examples_per_condition}
    drawn = {
        "examples_per_condition": examples_per_condition,
        "seed": seed,
        "num_conditions": len(chosen),
        "num_examples_of_the_split": len(data.examples),
        "conditions_with_fewer": fewer,
    }
    note = f"{data.path}: training on {len(examples)} of {len(data.examples)} examples, drawn by seed {seed}"
    if fewer:
        note += f"; {len(fewer)} of {len(chosen)} conditions have fewer than {examples_per_condition}"
    cases = tuple(case for case in data.test_cases if case in examples)
    notes = "\n".join(one for one in (data.note, note) if one)
    return replace(data, examples=examples, test_cases=cases, note=notes, subset=drawn)


def _concern(data: TrainingData, example: Example) -> str:
    if example.label is None or not example.is_assessed:
        raise InputError(
            f"{data.path}:{example.line}: examples_per_condition needs outputs that are assessments; "
            "leave it out."
        )
    return example.label.text
