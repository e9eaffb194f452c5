"""An example: a description, and what was labelled to it. Every data file becomes a set of these."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from symptoms.data.labels import Label
from symptoms.data.written_assessment import CONCERN, WrittenAssessment
from symptoms.errors import InputError
from symptoms.settings import TrainingSettings

SPLITS = ("train", "dev", "test")
SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    **dict.fromkeys(("validation", "valid", "val"), "dev"),
    "testing": "test",
}
"""What `datasets` and its users call a split, and what it is called here."""


@dataclass(frozen=True)
class Example:
    """A description and what was labelled to it; `id`, `split` and `line` say where it is from.

    `label` is None where nobody named one. `symptoms` is None where nobody annotated them and () where none
    were found. `output` is the very text to train towards, where the file gave that and not its parts; it
    need not be an assessment.
    """

    input: str
    label: Label | None = None
    symptoms: tuple[str, ...] | None = None
    recommendation: str | None = None
    id: str = ""
    split: str | None = None
    line: int = 1
    output: str | None = None

    @property
    def condition(self) -> str:
        """The label's id; empty without a label."""
        return "" if self.label is None else self.label.id

    @property
    def is_assessed(self) -> bool:
        """Whether it has all parts of an assessment, and so can be trained on without an `output`."""
        return self.label is not None and self.symptoms is not None and self.recommendation is not None

    @property
    def has_text_to_train(self) -> bool:
        """Whether there is a text to train towards, an `output` or an assessment."""
        return self.output is not None or self.is_assessed


@dataclass(frozen=True)
class Experiment:
    """What an experiment's file has beside its examples.

    `settings` are those of its training, in the order of the file. `test_cases` are the examples whose
    output is shown after training: those that the file names, or three spread evenly.
    """

    settings: TrainingSettings
    test_cases: tuple[Example, ...]
    loss_fn: Literal["cross_entropy"] = "cross_entropy"


@dataclass(frozen=True)
class Dataset:
    """A data file and the labels of its conditions. `digest` is the SHA-256 of its bytes.

    `notes` say how it was read where that was not a matter of course. `experiment` is None for any other
    file than an experiment's.
    """

    path: Path
    examples: tuple[Example, ...]
    labels: tuple[Label, ...]
    digest: str
    notes: tuple[str, ...] = ()
    experiment: Experiment | None = None


def assessment_of(example: Example) -> WrittenAssessment:
    """The assessment that an example trains towards.

    Raises InputError for one without symptoms or recommendation, as it could only be evaluated on.
    """
    if example.label is None or example.symptoms is None or example.recommendation is None:
        parts = {"condition": example.label, "symptoms": example.symptoms}
        missing = next((name for name, part in parts.items() if part is None), "recommendation")
        raise InputError(
            f"Example {example.id} (line {example.line}) has no {missing}, which training needs; add it."
        )
    return WrittenAssessment(
        concern=example.label.text, symptoms=example.symptoms, recommendation=example.recommendation
    )


def naming_its_concern_alone(example: Example) -> Example:
    """The same example with the line of its primary concern as all of its output."""
    return replace(example, output=f"{CONCERN}{example.label.text if example.label else ''}")


def symptoms_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """Every symptom term that the examples name, in alphabetical order."""
    return tuple(sorted({term for example in examples for term in example.symptoms or ()}))
