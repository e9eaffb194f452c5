"""The labels and symptom terms that training outputs teach, which a trained model chooses from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from symptoms.data.assessment import parse_assessment
from symptoms.data.labels import Label, find_label, labels_beside, labels_of_the_data
from symptoms.errors import AssessmentFormatError

CONCERN = "Primary concern: "


def labels_of_outputs(path: Path, outputs: Iterable[str]) -> tuple[Label, ...]:
    """The labels that the outputs of the file at `path` name, with the others of their taxonomy.

    That is a `taxonomy.json` beside the file, or the bundled one where at least half of the distinct
    concerns are from it. Concerns that are not from it are labels, too. Empty where no output begins with
    a concern.
    """
    first_lines = [output.strip().split("\n")[0] for output in outputs]
    concerns = [line.removeprefix(CONCERN).strip() for line in first_lines if line.startswith(CONCERN)]
    named = tuple(dict.fromkeys(concern for concern in concerns if concern))
    if not named:
        return ()
    labels = labels_beside(path) or labels_of_the_data(named)
    return (*labels, *(Label(name, name) for name in named if find_label(name, labels) is None))


def symptoms_of_outputs(outputs: Iterable[str]) -> tuple[str, ...]:
    """Every symptom term that the outputs name, in alphabetical order."""
    found: set[str] = set()
    for output in outputs:
        try:
            found.update(parse_assessment(output).symptoms)
        except AssessmentFormatError:
            continue  # An experiment may train on any text.
    return tuple(sorted(found))
