"""Data sets: labelled descriptions from a file of any format, checked as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from symptoms.data.example import Example
from symptoms.data.files.fields import FieldReader
from symptoms.data.files.records import AS_OURS, Columns, read_source
from symptoms.data.labels import (
    TAXONOMY_FILE,
    Label,
    find_label_by_name,
    labels_beside,
    labels_of_the_data,
)
from symptoms.data.reading import nearest
from symptoms.data.terms import TERMS_FILE, terms_for
from symptoms.errors import DataError, Fault


@dataclass(frozen=True)
class Dataset:
    """A data file and the labels of its conditions. `digest` is the SHA-256 of its bytes.

    `notes` say how it was read where that was not a matter of course.
    """

    path: Path
    examples: tuple[Example, ...]
    labels: tuple[Label, ...]
    digest: str
    notes: tuple[str, ...] = ()


def load_dataset(path: Path, labels: Sequence[Label] | None = None, columns: Columns = AS_OURS) -> Dataset:
    """Read and check a file; raises DataError with every fault in it, each with line and field.

    The conditions have to be ids of `labels`, or their names where those are unique. Without it they are
    those of a `taxonomy.json` beside the file; else the bundled taxonomy's where at least half of the
    distinct conditions are from it; else the file's own conditions, in the order in which they first appear.
    Symptoms have to be of a `symptoms.json` beside the file, or with the bundled taxonomy its own.
    """
    dataset, faults = read_dataset(path, labels, columns)
    if faults:
        raise DataError(faults)
    return dataset


def read_dataset(
    path: Path, labels: Sequence[Label] | None = None, columns: Columns = AS_OURS
) -> tuple[Dataset, tuple[Fault, ...]]:
    """The same, with what could be read beside the faults, so that more can be told of it at once.

    An example at fault stands in it as it was read, with an empty text for a field that was not, and with
    its condition as a label of its own where it is none of theirs.
    """
    faults: list[Fault] = []
    try:
        source = read_source(path, faults, columns)
    except DataError as error:
        return Dataset(path, (), (), ""), tuple(error.faults)
    reader = FieldReader(str(path), faults, {"input": columns.text, "condition": columns.label})
    examples: list[Example] = []
    for number, record in enumerate(source.records, start=1):
        read = reader.of(record)
        identifier, text = read.identifier(f"{path.stem}:{number}"), read.text("input")
        condition = read.text("condition", one_line=True)
        examples.append(
            Example(
                id=identifier,
                input=text,
                label=Label(condition, condition) if condition else None,
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
        check = _Check(str(path), chosen, labels is None, terms_for(path, chosen), columns.label)
        examples = [check.of(example, faults) for example in examples]
    except DataError as error:
        faults.extend(error.faults)
    dataset = Dataset(path, tuple(examples), chosen, source.digest, source.notes)
    # What stands beside a file may be found at fault twice, by its reader and for its labels.
    return dataset, tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line)))


def _choose_labels(path: Path, examples: list[Example], given: Sequence[Label] | None) -> tuple[Label, ...]:
    if given is not None:
        return tuple(given)
    return labels_beside(path) or labels_of_the_data(
        (example.condition for example in examples if example.condition), find_label_by_name
    )


@dataclass(frozen=True)
class _Check:
    """What the examples of a file are held against; `terms` is None where any symptom will do."""

    name: str
    labels: tuple[Label, ...]
    labels_are_its_own: bool
    terms: Mapping[str, tuple[str, ...]] | None
    label_column: str

    def of(self, example: Example, faults: list[Fault]) -> Example:
        """The example with the label that its condition names; what nobody knows is added to the faults."""
        label = find_label_by_name(example.condition, self.labels)
        if label is None and example.condition:
            problem = f"unknown condition {example.condition!r}{self._nearest_label(example.condition)}"
            faults.append(Fault(self.name, example.line, self.label_column, problem))
        if self.terms is not None:
            known = [term for group in self.terms.values() for term in group]
            hint = f" (terms of your own go into a {TERMS_FILE} beside the file)"
            for term in example.symptoms or ():
                if term and term not in known:
                    problem = f"unknown symptom {term!r}{nearest(term, known)}{hint}"
                    faults.append(Fault(self.name, example.line, "symptoms", problem))
        return replace(example, label=label) if label else example

    def _nearest_label(self, condition: str) -> str:
        known = [label.id for label in self.labels] + [label.text for label in self.labels]
        own = f" (labels of your own go into a {TAXONOMY_FILE} beside the file)"
        return nearest(condition, known) + (own if self.labels_are_its_own else "")
