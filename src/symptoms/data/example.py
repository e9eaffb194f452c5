"""An example: a description, and what was labelled to it. Every reader of data gives this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from symptoms.data.labels import Label
from symptoms.data.written_assessment import CONCERN, WrittenAssessment
from symptoms.errors import InputError


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
