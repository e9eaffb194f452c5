"""Rows of text with separators: CSV as spreadsheets of every country write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from symptoms.data.written_assessment import NO_SYMPTOMS
from symptoms.errors import Fault
from symptoms.words import counted

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
OF_PANDAS = "Unnamed: "
NOTHING_ELSE = (
    "the first column has no name, like the index that pandas writes; it is left out "
    "(to_csv(..., index=False) writes none)"
)


def rows_of_text(
    path: Path, text: str, wanted: Sequence[str], faults: list[Fault], notes: list[str]
) -> Iterator[tuple[int, object]]:
    """Each row as fields by the names in the first one, an empty cell as None.

    The separator is the one that gives the most of the `wanted` names, then the most columns.
    """
    separator = _separator(text, wanted)
    if separator != "," and path.suffix.lower() != ".tsv":
        notes.append(f"{path}: columns are separated by {SEPARATORS[separator]}")
    name = str(path)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
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
                if header[0] == "" or header[0].startswith(OF_PANDAS):
                    notes.append(f"{path}: {NOTHING_ELSE}")
            elif len(row) != len(header):
                problem = f"expected {counted(len(header), 'column')}, found {len(row)}"
                faults.append(Fault(name, line, "row", f"{problem}; quote text with {SEPARATORS[separator]}"))
            else:
                yield line, _fields(header, row)
    except csv.Error as error:
        faults.append(Fault(name, begins, "row", f"not valid CSV ({error}); quote and shorten its texts"))


def terms_of_cell(cell: str) -> list[str]:
    """The symptoms of one cell, between `;`, `|` or `,`; `none identified` says none."""
    separator = next((one for one in ";|," if one in cell), ";")
    terms = [term.strip() for term in cell.split(separator)]
    return [] if terms == [NO_SYMPTOMS] else terms


def _separator(text: str, wanted: Sequence[str]) -> str:
    def score(separator: str) -> tuple[int, int]:
        try:
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            nothing: list[str] = []
            header = next((row for row in rows if any(cell.strip() for cell in row)), nothing)
        except csv.Error:
            return 0, 0
        return len({cell.strip() for cell in header} & set(wanted)), len(header)

    return max(SEPARATORS, key=score)  # the first of equals, so that commas win


def _check_header(name: str, line: int, header: list[str], faults: list[Fault]) -> bool:
    twice = [key for key in dict.fromkeys(header) if key and header.count(key) > 1]
    faults.extend(Fault(name, line, key, "the column stands twice; keep one") for key in twice)
    return not twice


def _fields(header: list[str], row: list[str]) -> dict[str, object]:
    fields: dict[str, object] = {
        key: cell if cell.strip() else None
        for key, cell in zip(header, row, strict=True)
        if key and not key.startswith(OF_PANDAS)
    }
    symptoms = fields.get("symptoms")
    if isinstance(symptoms, str):
        fields["symptoms"] = terms_of_cell(symptoms)
    return fields
