"""The examples of a data file, as they are trained or evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from symptoms.data import Example, Label, assessment_of, load_dataset, load_experiment, render_assessment
from symptoms.data.reading import read_text
from symptoms.errors import InputError


@dataclass(frozen=True)
class TrainingData:
    """Descriptions with the text wanted for each. `digest` is the SHA-256 of the file's bytes.

    `labels` are those that a model trained on it chooses from, empty where the texts name no concern.
    `config` and `test_cases` are those of an experiment's file and empty for other files; `note` says
    which examples of the file were left out.
    """

    path: Path
    examples: tuple[Example, ...]
    labels: tuple[Label, ...]
    digest: str
    config: Mapping[str, Any]
    test_cases: tuple[Example, ...]
    note: str | None


def load_training_data(path: Path, split: Literal["train", "dev"]) -> TrainingData:
    """The examples of a data set, or of an experiment's file as they stand in it.

    Of a file whose examples are of several splits only those of `split` are taken. Raises DataError with
    every fault in the file, and InputError where an example has no assessment to train towards.
    """
    if path.suffix.lower() == ".json" and read_text(path)[0].lstrip().startswith("{"):
        experiment = load_experiment(path)
        # The original went through its examples in the file's order.
        config = experiment.config.model_dump(exclude={"loss_fn", "test_examples"}) | {"shuffle": False}
        return TrainingData(
            path,
            experiment.examples,
            experiment.labels,
            experiment.digest,
            config,
            experiment.test_cases,
            None,
        )
    dataset = load_dataset(path)
    chosen = dataset.examples
    note = None
    if len({example.split for example in chosen}) > 1:
        chosen = tuple(example for example in chosen if example.split == split)
        if not chosen:
            raise InputError(f"{path} has several splits and none is {split!r}; name one so, or split it.")
        note = f"{path}: taking the {len(chosen)} of {len(dataset.examples)} examples of split {split}"
    examples = tuple(
        Example(one.input, render_assessment(assessment_of(one, dataset.labels)), one.line) for one in chosen
    )
    return TrainingData(path, examples, dataset.labels, dataset.digest, {}, (), note)
