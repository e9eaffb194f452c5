"""Records of a data file as they stand in it: the fields of each example with its line, not yet checked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from symptoms.data.assessment import NO_SYMPTOMS, parse_assessment
from symptoms.data.experiment import load_experiment
from symptoms.data.reading import Places, kind_of, nearest, parse_json
from symptoms.errors import AssessmentFormatError, DataError, Fault

FIELDS = ("id", "input", "condition", "symptoms", "recommendation", "split")
SUFFIXES = (".jsonl", ".json", ".csv")


@dataclass(frozen=True)
class Record:
    """One example's fields; `line` is where it begins."""

    line: int
    fields: dict[str, object]


def read_records(path: Path, text: str, faults: list[Fault]) -> Iterator[Record]:
    """The records of a file by its suffix; what is not a record is added to the faults."""
    readers = {".jsonl": _of_json_lines, ".json": _of_json, ".csv": _of_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        problem = f"expected a file that ends in {', '.join(SUFFIXES)}, found {path.suffix or 'no ending'}"
        faults.append(Fault(str(path), 1, "file", problem))
        return
    try:
        for line, found in reader(path, text, faults):
            if not isinstance(found, dict):
                problem = f'expected {{"input", "condition", ...}}, found {kind_of(found)}'
                faults.append(Fault(str(path), line, "example", problem))
                continue
            fields = cast(dict[str, object], found)
            faults.extend(
                Fault(str(path), line, key, f"unknown key{nearest(key, FIELDS)}")
                for key in fields
                if key not in FIELDS
            )
            yield Record(line, fields)
    except DataError as error:
        faults.extend(error.faults)


def _of_json_lines(path: Path, text: str, faults: list[Fault]) -> Iterator[tuple[int, object]]:
    # Not splitlines: JSON strings may hold U+2028 and its like, which end no line in a file.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_json(str(path), line, number)
            except DataError as error:
                faults.extend(error.faults)


def _of_json(path: Path, text: str, faults: list[Fault]) -> Iterator[tuple[int, object]]:
    document = parse_json(str(path), text)
    if isinstance(document, dict):
        yield from _of_experiment(path, faults)
    elif isinstance(document, list):
        yield from zip(Places(text).of_elements(), cast(list[object], document), strict=True)
    else:
        problem = f'expected a list of examples or {{"config", "examples"}}, found {kind_of(document)}'
        faults.append(Fault(str(path), 1, "file", problem))


def _of_experiment(path: Path, faults: list[Fault]) -> Iterator[tuple[int, object]]:
    for number, example in enumerate(load_experiment(path).examples, start=1):
        try:
            assessment = parse_assessment(example.output)
        except AssessmentFormatError:
            problem = "expected the three lines Primary concern, Key symptoms and Recommendation"
            faults.append(Fault(str(path), example.line, f"example {number}, output", problem))
            continue
        fields: dict[str, object] = {
            "input": example.input,
            "condition": assessment.concern,
            "symptoms": list(assessment.symptoms),
            "recommendation": assessment.recommendation,
        }
        yield example.line, fields


def _of_csv(path: Path, text: str, faults: list[Fault]) -> Iterator[tuple[int, object]]:
    name = str(path)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for row in rows:
            line, begins = begins, rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [cell.strip() for cell in row]
                if not _check_header(name, line, header, faults):
                    return
            elif len(row) != len(header):
                problem = f"expected {len(header)} columns, found {len(row)}; quote text with commas"
                faults.append(Fault(name, line, "row", problem))
            else:
                yield line, _fields_of_row(header, row)
    except csv.Error as error:
        faults.append(Fault(name, begins, "row", f"not valid CSV ({error})"))


def _check_header(name: str, line: int, header: list[str], faults: list[Fault]) -> bool:
    before = len(faults)
    for key in dict.fromkeys(header):
        if header.count(key) > 1:
            faults.append(Fault(name, line, key or "header", "the column stands twice; keep one"))
        elif key not in FIELDS:
            faults.append(Fault(name, line, key or "header", f"unknown column{nearest(key, FIELDS)}"))
    for key in ("input", "condition"):
        if key not in header:
            problem = "expected a column of this name in the first line, with commas between the columns"
            faults.append(Fault(name, line, key, problem))
    return len(faults) == before


def _fields_of_row(header: list[str], row: list[str]) -> dict[str, object]:
    """An empty cell is a missing field; symptoms are separated by `;`, and `none identified` says none."""
    fields: dict[str, object] = dict(zip(header, row, strict=True))
    fields = {key: cell for key, cell in fields.items() if str(cell).strip()}
    symptoms = fields.get("symptoms")
    if isinstance(symptoms, str):
        terms = [term.strip() for term in symptoms.split(";")]
        fields["symptoms"] = [] if terms == [NO_SYMPTOMS] else terms
    return fields
