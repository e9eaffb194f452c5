"""Data sets: labelled descriptions from JSONL, JSON or CSV, checked as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from symptoms.data.assessment import WrittenAssessment
from symptoms.data.fields import FieldReader
from symptoms.data.labels import (
    TAXONOMY_FILE,
    Label,
    find_label,
    labels_beside,
    labels_of_taxonomy,
    labels_of_the_data,
)
from symptoms.data.reading import nearest, read_text
from symptoms.data.records import read_records
from symptoms.errors import DataError, Fault, InputError
from symptoms.taxonomy import symptom_terms


@dataclass(frozen=True)
class LabelledExample:
    """A description and what it was labelled with; `line` is where it begins in its file.

    `symptoms` is None where nobody annotated them and () where none were found.
    """

    id: str
    input: str
    condition: str
    symptoms: tuple[str, ...] | None
    recommendation: str | None
    split: str | None
    line: int


@dataclass(frozen=True)
class Dataset:
    """A checked data file and the labels of its conditions. `digest` is the SHA-256 of its bytes."""

    path: Path
    examples: tuple[LabelledExample, ...]
    labels: tuple[Label, ...]
    digest: str


def load_dataset(path: Path, labels: Sequence[Label] | None = None) -> Dataset:
    """Read and check a file; raises DataError with every fault in it, each with line and field.

    The conditions have to be ids of `labels`. Without it they are those of a `taxonomy.json` beside the
    file; else the bundled taxonomy's where at least half of the distinct conditions are from it; else
    the file's own conditions, in the order in which they first appear.
    """
    text, content = read_text(path)
    faults: list[Fault] = []
    reader = FieldReader(str(path), faults)
    examples: list[LabelledExample] = []
    for number, record in enumerate(read_records(path, text, faults), start=1):
        read = reader.of(record)
        examples.append(
            LabelledExample(
                id=read.identifier(f"{path.stem}:{number}"),
                input=read.text("input"),
                condition=read.text("condition", one_line=True),
                symptoms=read.symptoms(),
                recommendation=read.optional_text("recommendation"),
                split=read.split(),
                line=record.line,
            )
        )
    if not examples and not faults:
        faults.append(Fault(str(path), 1, "file", "expected at least one example, found none"))
    chosen: tuple[Label, ...] = ()
    try:
        chosen = _choose_labels(path, examples, labels)
    except DataError as error:
        faults.extend(error.faults)
    else:
        hint = (
            "" if labels is not None else f" (labels of your own go into a {TAXONOMY_FILE} beside the file)"
        )
        examples = [_checked(str(path), example, chosen, hint, faults) for example in examples]
    if faults:
        raise DataError(sorted(faults, key=lambda fault: (fault.file, fault.line)))
    return Dataset(path, tuple(examples), chosen, hashlib.sha256(content).hexdigest())


def assessment_of(example: LabelledExample, labels: Sequence[Label]) -> WrittenAssessment:
    """The assessment that an example trains towards.

    Raises InputError for one without symptoms or recommendation, as it could only be evaluated on, and
    for a condition that is not among the labels.
    """
    if example.symptoms is None or example.recommendation is None:
        missing = "symptoms" if example.symptoms is None else "recommendation"
        raise InputError(
            f"Example {example.id} (line {example.line}) has no {missing}, which training needs; add it."
        )
    label = find_label(example.condition, labels)
    if label is None:
        known = nearest(example.condition, [label.id for label in labels])
        raise InputError(
            f"Example {example.id} has the condition {example.condition!r}, not of these labels{known}"
        )
    return WrittenAssessment(
        concern=label.text, symptoms=example.symptoms, recommendation=example.recommendation
    )


def _choose_labels(
    path: Path, examples: list[LabelledExample], given: Sequence[Label] | None
) -> tuple[Label, ...]:
    if given is not None:
        return tuple(given)
    return labels_beside(path) or labels_of_the_data(
        example.condition for example in examples if example.condition
    )


def _checked(
    name: str, example: LabelledExample, labels: tuple[Label, ...], hint: str, faults: list[Fault]
) -> LabelledExample:
    """The example with its label's id as condition; what is not of the taxonomy is added to the faults."""
    label = find_label(example.condition, labels)
    if label is None and example.condition:
        known = [label.id for label in labels] + [label.text for label in labels]
        problem = f"unknown condition {example.condition!r}{nearest(example.condition, known)}{hint}"
        faults.append(Fault(name, example.line, "condition", problem))
    if labels == labels_of_taxonomy():
        terms = [term for group in symptom_terms().values() for term in group]
        for term in example.symptoms or ():
            if term and term not in terms:
                problem = f"unknown symptom {term!r}{nearest(term, terms)}"
                faults.append(Fault(name, example.line, "symptoms", problem))
    return replace(example, condition=label.id) if label else example
