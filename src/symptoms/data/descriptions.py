"""Descriptions to assess, many in one file: JSON lines, CSV or plain lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from symptoms.data.reading import kind_of, parse_json, read_text
from symptoms.errors import DataError, Fault

ENDINGS = (".jsonl", ".csv", ".txt")
FIELD = "input"


@dataclass(frozen=True)
class Description:
    """A description, the line on which it stands in its file, and its id where the file has one."""

    text: str
    line: int
    id: str | None = None


def load_descriptions(path: Path) -> tuple[Description, ...]:
    """All descriptions of a file; raises DataError with every fault in it.

    JSON lines and CSV have the description as `input`, and whatever else they have but an `id` is left
    alone. A text file has one description a line, and empty lines are skipped.
    """
    readers = {".jsonl": _of_json_lines, ".csv": _of_csv, ".txt": _of_lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        problem = f"expected a file that ends in {', '.join(ENDINGS)}, found {path.suffix or 'no ending'}"
        raise DataError([Fault(str(path), 1, "file", problem)])
    text, _ = read_text(path)
    faults: list[Fault] = []
    found = tuple(reader(str(path), text, faults))
    if not found and not faults:
        faults.append(Fault(str(path), 1, "file", "expected at least one description, found none"))
    if faults:
        raise DataError(faults)
    return found


def _of_lines(_name: str, text: str, _faults: list[Fault]) -> Iterator[Description]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Description(line.strip(), number)


def _of_json_lines(name: str, text: str, faults: list[Fault]) -> Iterator[Description]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found: object = parse_json(name, line, number)
        except DataError as error:
            faults.extend(error.faults)
            continue
        if not isinstance(found, dict):
            faults.append(Fault(name, number, "line", f'expected {{"input"}}, found {kind_of(found)}'))
            continue
        fields = cast(dict[str, object], found)
        description, identifier = fields.get(FIELD), fields.get("id")
        if not isinstance(description, str):
            faults.append(Fault(name, number, FIELD, f"expected text, found {kind_of(description)}"))
            continue
        yield Description(description, number, None if identifier is None else str(identifier))


def _of_csv(name: str, text: str, faults: list[Fault]) -> Iterator[Description]:
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
                if FIELD not in header:
                    problem = "expected a column of this name in the first line"
                    faults.append(Fault(name, line, FIELD, problem))
                    return
            elif len(row) != len(header):
                problem = f"expected {len(header)} columns, found {len(row)}; quote text with commas"
                faults.append(Fault(name, line, "row", problem))
            else:
                fields = dict(zip(header, row, strict=True))
                yield Description(fields[FIELD], line, fields.get("id") or None)
    except csv.Error as error:
        faults.append(Fault(name, begins, "row", f"not valid CSV ({error}); quote and shorten its texts"))
