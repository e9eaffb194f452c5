"""The examples of a data file, as they are trained or evaluated on, or a part of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from symptoms.data import Dataset, Example, load_dataset, naming_its_concern_alone
from symptoms.data.files.records import AS_OURS, Columns
from symptoms.data.subset import choose_per_condition, of_split
from symptoms.data.written_assessment import CONCERN
from symptoms.errors import InputError
from symptoms.words import counted


@dataclass(frozen=True)
class TrainingData(Dataset):
    """What is trained or evaluated on, and where it is from.

    `labels` are those that a model trained on it chooses from, empty where the texts name no concern.
    `notes` say, too, which examples of the file were left out, and `subset` how a part of them was drawn, for
    the manifest. Where `names_concern_alone`, nobody annotated symptoms or recommendations, and an output is
    the one line that names the label.
    """

    subset: Mapping[str, Any] | None = None
    names_concern_alone: bool = False


def load_training_data(
    path: Path,
    split: Literal["train", "dev"],
    columns: Columns = AS_OURS,
    concern_alone: bool | None = None,
) -> TrainingData:
    """The examples of a data set, or of an experiment's file as they stand in it.

    Of a file whose examples are of several splits only those of `split` are taken. Their outputs name the
    concern alone where none of them has symptoms or a recommendation; dev data are told by `concern_alone`
    which outputs the training data have. Raises DataError with every fault in the file, and InputError
    where only some examples have an assessment to train towards.
    """
    dataset = load_dataset(path, columns=columns, any_output=True)
    chosen = of_split(dataset, split)
    count, whole = len(chosen.examples), len(dataset.examples)
    notes = list(dataset.notes)
    if count < whole:
        notes.append(f"{path}: taking the {count:,} of {counted(whole, 'example')} of split {split}")
    if dataset.experiment is not None:
        concern_alone = False
    elif concern_alone is None:
        concern_alone = not any(_is_annotated(example) for example in chosen.examples)
        if concern_alone:
            notes.append(
                f"{path}: no example has symptoms or a recommendation, so what is learnt to be written ends "
                f"after the line {CONCERN}..."
            )
    examples = chosen.examples
    if concern_alone:
        examples = tuple(naming_its_concern_alone(example) for example in examples)
    else:
        _check_assessed(path, examples)
    parts = path, examples, dataset.labels, dataset.digest, tuple(notes), dataset.experiment
    return TrainingData(*parts, names_concern_alone=concern_alone)


def _is_annotated(example: Example) -> bool:
    return example.symptoms is not None or example.recommendation is not None


def _check_assessed(path: Path, examples: Sequence[Example]) -> None:
    """Tells now, and not when the tokens are made, how many examples have nothing to train towards."""
    lacking = [example for example in examples if not example.has_text_to_train]
    if lacking:
        first = lacking[0]
        raise InputError(
            f"{path}: {len(lacking):,} of {counted(len(examples), 'example')} lack symptoms or "
            f"recommendation, the first of them {first.id} (line {first.line}); add what is missing, or "
            "leave both out of all training and dev data, which are then trained on without."
        )


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
    whole = counted(len(data.examples), "example")
    note = f"{data.path}: training on {len(examples):,} of {whole}, drawn by seed {seed}"
    if fewer:
        of_all = f"{len(fewer)} of {counted(len(chosen), 'condition')}"
        note += f"; {of_all} {'has' if len(fewer) == 1 else 'have'} fewer than {examples_per_condition}"
    experiment = data.experiment
    if experiment is not None:
        cases = tuple(case for case in experiment.test_cases if case in examples)
        experiment = replace(experiment, test_cases=cases)
    notes = (*data.notes, note)
    return replace(data, examples=examples, experiment=experiment, notes=notes, subset=drawn)


def _concern(data: TrainingData, example: Example) -> str:
    if example.label is None or not (example.is_assessed or data.names_concern_alone):
        raise InputError(
            f"{data.path}:{example.line}: examples_per_condition needs outputs that are assessments; "
            "leave it out."
        )
    return example.label.text
