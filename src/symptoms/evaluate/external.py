"""Texts from elsewhere, read from the user's own copies in their original layouts.

A model that is only ever tested on texts by the authors of its training data may have learnt the authors.
These sets were written by others; which of their labels stand for which condition is in external.json.
"""

import csv
import io
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from symptoms.data import Example, Label
from symptoms.errors import DataError, Fault, InputError
from symptoms.packaged import packaged


@dataclass(frozen=True)
class ExternalSet:
    """A set of texts; `clusters` are texts of one case. Out of scope are texts that no condition fits."""

    name: str
    examples: tuple[Example, ...]
    clusters: tuple[str, ...]
    in_scope: bool
    note: str


def read_external(kind: str, path: Path) -> ExternalSet:
    """A set of a known kind; raises InputError for another kind and DataError for another layout."""
    if kind not in READERS:
        raise InputError(f"{kind!r} is not a known set; choose one of {', '.join(READERS)}.")
    try:
        found = READERS[kind](path)
    except OSError as error:
        raise DataError(
            [Fault(str(path), 1, kind, f"cannot be read ({error.strerror}); check the path")]
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        # Whatever is missing in a foreign layout, the next step is the same.
        expected = f"is not laid out as {kind} is ({type(error).__name__}: {error}); give the original files"
        raise DataError([Fault(str(path), 1, kind, expected)]) from error
    if not found.examples:
        raise DataError(
            [Fault(str(path), 1, kind, "holds no texts that can be used; give the original files")]
        )
    return found


def within_labels(external: ExternalSet, labels: Collection[str]) -> ExternalSet:
    """The texts whose condition is among these label ids; all of them where the set is out of scope.

    Raises InputError where none is left.
    """
    if not external.in_scope:
        return external
    kept = [number for number, one in enumerate(external.examples) if one.condition in labels]
    if not kept:
        raise InputError(f"{external.name} has none of the conditions of this data set; leave it out.")
    return replace(
        external,
        examples=tuple(external.examples[number] for number in kept),
        clusters=tuple(external.clusters[number] for number in kept) if external.clusters else (),
    )


@cache
def _conditions(kind: str) -> dict[str, str]:
    return packaged(__package__, "external.json")[kind]


def _example(identifier: str, text: str, condition: str, line: int) -> Example:
    return Example(text.strip(), Label(condition, condition), id=identifier, line=line)


def _mentalbench(path: Path) -> ExternalSet:
    """`resources/dataset/medium/D???/main_*.json`; the cases of one disorder and symptom set go together."""
    conditions = _conditions("mentalbench")
    examples: list[Example] = []
    clusters: list[str] = []
    for file in sorted(path.glob("**/dataset/medium/D*/main_*.json")):
        disorder = file.parent.name
        cases: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        features_file = file.parent / "features" / file.name
        features: dict[str, Any] = (
            json.loads(features_file.read_text(encoding="utf-8")) if features_file.exists() else {}
        )
        for number, (identifier, case) in enumerate(cases.items(), start=1):
            # Generators number their cases alike.
            unique = f"{file.stem.removeprefix('main_')}:{identifier}"
            examples.append(_example(unique, case["question"], conditions[disorder], number))
            clusters.append(f"{disorder} {_symptom_set(features.get(identifier))}")
    note = "LLM-written first-person reports of 23 disorders; several disorders share one of our conditions"
    return ExternalSet("MentalBench", tuple(examples), tuple(clusters), True, note)


def _symptom_set(features: dict[str, Any] | None) -> str:
    if features is None:
        return ""
    return " ".join(sorted(features["features"]["question"]["sampled_features"]["sampled_symptoms"]))


def _counselchat(path: Path) -> ExternalSet:
    """The CSV with `questionText` and `topic` or `topics`; each question once, if it has one topic."""
    conditions = _conditions("counselchat")
    seen: dict[str, Example] = {}
    for line, row in _rows(path):
        named = row["topics"] if "topics" in row else row["topic"]
        # The older file writes grief-and-loss, the newer one Grief and Loss.
        topics = [topic.strip().lower().replace(" ", "-") for topic in named.split(",")]
        known = {conditions[topic] for topic in topics if topic in conditions}
        text = row["questionText"].strip()
        if len(known) == 1 and text and text not in seen:
            seen[text] = _example(f"counselchat:{line}", text, known.pop(), line)
    note = "questions to counsellors; the topic that was chosen on the site stands for the condition"
    return ExternalSet("CounselChat", tuple(seen.values()), (), True, note)


def _symptom2disease(path: Path) -> ExternalSet:
    """The CSV with `label` and `text`: bodily illnesses."""
    examples = tuple(_example(f"symptom2disease:{line}", row["text"], "", line) for line, row in _rows(path))
    return ExternalSet("Symptom2Disease", examples, (), False, "first-person texts about bodily illnesses")


def _clinc(path: Path) -> ExternalSet:
    """`data_full.json`: its out-of-scope queries, each `[text, "oos"]`."""
    queries: list[list[str]] = json.loads(path.read_text(encoding="utf-8"))["oos_test"]
    examples = tuple(
        _example(f"clinc:{line}", query[0], "", line) for line, query in enumerate(queries, start=1)
    )
    note = "everyday requests to an assistant; the bundled base model was pretrained on them too, unlabelled"
    return ExternalSet("CLINC out-of-scope", examples, (), False, note)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row with the line that it ends on."""
    text = path.read_text(encoding="utf-8-sig")
    # Some answers of CounselChat hold whole pictures, longer than the csv module allows by default.
    limit = csv.field_size_limit(len(text) + 1)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        return [(reader.line_num, row) for row in reader]
    finally:
        csv.field_size_limit(limit)


READERS: dict[str, Callable[[Path], ExternalSet]] = {
    "mentalbench": _mentalbench,
    "counselchat": _counselchat,
    "symptom2disease": _symptom2disease,
    "clinc_oos": _clinc,
}
