"""Data sets: labelled descriptions from a file of any format, checked as a whole."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from symptoms.data.example import Dataset, Example
from symptoms.data.files.experiment_file import load_experiment
from symptoms.data.files.fields import FieldReader
from symptoms.data.files.records import AS_OURS, Columns, holds_experiment, read_source
from symptoms.data.labels import (
    TAXONOMY_FILE,
    Label,
    find_label_by_name,
    label_of_initials,
    labels_beside,
    labels_of_taxonomy,
    labels_of_the_data,
)
from symptoms.data.terms import TERMS_FILE, terms_for
from symptoms.errors import DataError, Fault
from symptoms.text_files import nearest


def load_dataset(
    path: Path, labels: Sequence[Label] | None = None, columns: Columns = AS_OURS, any_output: bool = False
) -> Dataset:
    """Read and check a file; raises DataError with every fault in it, each with line and field.

    The conditions have to be ids of `labels`, or their names where those are unique. Without it they are
    those of a `taxonomy.json` beside the file; else the bundled taxonomy's where at least half of the
    distinct conditions are from it; else the file's own conditions, in the order in which they first appear.
    Symptoms have to be of a `symptoms.json` beside the file, or with the bundled taxonomy its own. With
    `any_output` none of this is asked of an experiment's file, whose outputs can be trained on as they are.
    """
    dataset, faults = read_dataset(path, labels, columns, any_output)
    if faults:
        raise DataError(faults)
    return dataset


def read_dataset(
    path: Path, labels: Sequence[Label] | None = None, columns: Columns = AS_OURS, any_output: bool = False
) -> tuple[Dataset, tuple[Fault, ...]]:
    """The same, with what could be read beside the faults, so that more can be told of it at once.

    An example at fault stands in it as it was read, with an empty text for a field that was not, and with
    its condition as a label of its own where it is none of theirs.
    """
    faults: list[Fault] = []
    try:
        is_experiment = holds_experiment(path)
        dataset = load_experiment(path)[0] if is_experiment else _of_records(path, columns, faults)
    except DataError as error:
        return Dataset(path, (), (), ""), tuple(error.faults)
    if is_experiment and any_output:
        return dataset, ()
    if not dataset.examples and not faults:
        faults.append(Fault(str(path), 1, "file", "expected at least one example, found none"))
    try:
        chosen = _choose_labels(dataset, labels)
        check = _Check(str(path), chosen, labels is None, terms_for(path, chosen), columns.label)
        numbered = enumerate(dataset.examples, start=1)
        examples = tuple(
            check.of(example, faults, f"example {number}, output" if is_experiment else None)
            for number, example in numbered
        )
        notes = (*dataset.notes, *_note_on_labels(path, chosen)) if labels is None else dataset.notes
        dataset = replace(dataset, examples=examples, labels=chosen, notes=notes)
    except DataError as error:
        faults.extend(error.faults)
    # What stands beside a file may be found at fault twice, by its reader and for its labels.
    return dataset, tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line)))


def _of_records(path: Path, columns: Columns, faults: list[Fault]) -> Dataset:
    """The examples of a file without labels to hold them against: each has its condition as its own."""
    source = read_source(path, faults, columns)
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
    return Dataset(path, tuple(examples), (), source.digest, source.notes)


def _choose_labels(dataset: Dataset, given: Sequence[Label] | None) -> tuple[Label, ...]:
    if given is not None:
        return tuple(given)
    named = (example.label.text for example in dataset.examples if example.label)
    return labels_beside(dataset.path) or labels_of_the_data(named, find_label_by_name)


def _note_on_labels(path: Path, chosen: tuple[Label, ...]) -> Iterable[str]:
    """That labels are the file's own, where some of them look like the bundled taxonomy's."""
    bundled = labels_of_taxonomy()
    if chosen == bundled or path.with_name(TAXONOMY_FILE).exists():
        return
    if known := [label.text for label in chosen if find_label_by_name(label.text, bundled)]:
        yield (
            f"{path}: its {len(chosen)} conditions are taken as labels of its own, as fewer than half are in "
            f"the bundled taxonomy ({', '.join(known)}); 'symptoms data labels' lists what is"
        )


@dataclass(frozen=True)
class _Check:
    """What the examples of a file are held against; `terms` is None where any symptom will do."""

    name: str
    labels: tuple[Label, ...]
    labels_are_its_own: bool
    terms: Mapping[str, tuple[str, ...]] | None
    label_column: str

    def of(self, example: Example, faults: list[Fault], only_field: str | None = None) -> Example:
        """The example with the label that its condition names; what nobody knows is added to the faults.

        `only_field` is what all of it was read from, where the file has no fields for its parts.
        """
        of_condition, of_symptoms = only_field or self.label_column, only_field or "symptoms"
        if example.output is not None and not example.is_assessed:
            problem = "expected the three lines Primary concern, Key symptoms and Recommendation"
            faults.append(Fault(self.name, example.line, only_field or "output", problem))
            return example
        # Its text, which an experiment's file has in place of the id.
        condition = example.label.text if example.label else ""
        label = find_label_by_name(condition, self.labels)
        if label is None and condition:
            problem = f"unknown condition {condition!r}{self._nearest_label(condition)}"
            faults.append(Fault(self.name, example.line, of_condition, problem))
        symptoms = example.symptoms or ()
        twice = dict.fromkeys(term for term in symptoms if term and symptoms.count(term) > 1)
        said = [f"{term!r} stands twice; keep one" for term in twice]
        faults += [Fault(self.name, example.line, of_symptoms, problem) for problem in said]
        if self.terms is not None:
            known = [term for group in self.terms.values() for term in group]
            hint = f" (terms of your own go into a {TERMS_FILE} beside the file)"
            for term in symptoms:
                if term and term not in known:
                    problem = f"unknown symptom {term!r}{nearest(term, known)}{hint}"
                    faults.append(Fault(self.name, example.line, of_symptoms, problem))
        return replace(example, label=label) if label else example

    def _nearest_label(self, condition: str) -> str:
        known = [label.id for label in self.labels] + [label.text for label in self.labels]
        own = f" (labels of your own go into a {TAXONOMY_FILE} beside the file)"
        short = label_of_initials(condition, self.labels)
        meant = nearest(condition, known) if short is None else f"; did you mean {short.id!r}?"
        return meant + (own if self.labels_are_its_own else "")
