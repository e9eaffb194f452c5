"""Rows of text with separators: CSV as spreadsheets of every country write it."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from symptoms.data.written_assessment import NO_SYMPTOMS
from symptoms.errors import DataError, Fault
from symptoms.text_files import NOT_UTF8, is_undecoded
from symptoms.words import counted

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
OF_PANDAS = "Unnamed: "
_TOLD_SEPARATOR = re.compile(r'"?sep=(?P<separator>[,;\t|])"?\r?\n', re.IGNORECASE)
"""The line before the header in which Excel is told the separator."""


def rows_of_text(
    path: Path, lines: Iterable[str], beginning: str, wanted: Sequence[str], notes: list[str]
) -> Iterator[tuple[int, object]]:
    """Each row as fields by the names in the first one, an empty cell as None; a Fault where it is no row.

    `lines` keep their ends. The separator is the one that a first line `sep=;` tells, which is no row, or
    else the one that gives the most of the `wanted` names in the `beginning` of the file, then the most
    columns. After a row that is no CSV reading goes on with the line after the one on which that row began.
    Rows without any text are left out, of which a note at the end tells; in a file of one column they are
    empty cells, but for lines at its end.
    Raises DataError for a header that cannot be used.
    """
    told = _TOLD_SEPARATOR.match(beginning)
    separator = told["separator"] if told else _separator(beginning, wanted)
    if separator != "," and path.suffix.lower() != ".tsv":
        notes.append(f"{path}: columns are separated by {SEPARATORS[separator]}")
    name = str(path)
    header: list[str] | None = None
    first = 2 if told else 1
    found = (one for one in _rows(name, lines, separator) if one[0] >= first)
    for line, row in _without_empty(path, found, notes):
        if isinstance(row, Fault):
            yield line, row
        elif header is None:
            header = [cell.strip() for cell in row]
            _check_header(name, line, header)
            if header[0] == "" or header[0].startswith(OF_PANDAS):
                notes.append(index_note(path, "to_csv"))
        elif len(row) != len(header):
            problem = f"expected {counted(len(header), 'column')}, found {len(row)}"
            yield line, Fault(name, line, "row", f"{problem}; quote text with {SEPARATORS[separator]}")
        elif any(map(is_undecoded, row)):
            yield line, Fault(name, line, "file", NOT_UTF8)
        else:
            yield line, _fields(header, row)


def index_note(path: Path, writer: str) -> str:
    """That the first column is left out, and how pandas writes none with its method `writer`."""
    return (
        f"{path}: the first column has no name, like the index that pandas writes; it is left out "
        f"({writer}(..., index=False) writes none)"
    )


def terms_of_cell(cell: str) -> list[str]:
    """The symptoms of one cell, between `;`, `|` or `,`; `none identified` says none."""
    separator = next((one for one in ";|," if one in cell), ";")
    terms = [term.strip() for term in cell.split(separator)]
    return [] if terms == [NO_SYMPTOMS] else terms


def _rows(name: str, lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str] | Fault]]:
    """The rows, each with the line on which it begins; an empty line is one without cells."""
    returning = _Returning(lines)
    rows = csv.reader(returning, delimiter=separator, strict=True)
    begins = 1
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"not valid CSV ({error}); quote and shorten its texts"
            yield begins, Fault(name, begins, "row", problem)
            returning.give_back_all_but_one()
            # The old one may still be inside of a quotation.
            rows = csv.reader(returning, delimiter=separator, strict=True)
            begins += 1
            continue
        line, begins = begins, begins + returning.settle()
        yield line, row


def _without_empty(
    path: Path, rows: Iterable[tuple[int, list[str] | Fault]], notes: list[str]
) -> Iterator[tuple[int, list[str] | Fault]]:
    num_columns = num_left_out = num_lines = 0
    for line, row in rows:
        if num_columns == 1 and row == []:
            num_lines += 1  # an empty cell if a row follows, else the end of the file
            continue
        for back in range(num_lines, 0, -1):
            yield line - back, [""]
        num_lines = 0
        if isinstance(row, Fault) or any(cell.strip() for cell in row) or num_columns == len(row) == 1:
            yield line, row
            if num_columns == 0 and not isinstance(row, Fault):
                num_columns = len(row)  # the header's
        else:
            num_left_out += 1
    if num_left_out + num_lines:
        notes.append(f"{path} has {counted(num_left_out + num_lines, 'empty row')}, left out")


class _Returning:
    """Lines that can be had again, from the second of the row in the making on."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self._again: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    def settle(self) -> int:
        """How many lines the row took, which is done."""
        count = len(self._taken)
        self._taken.clear()
        return count

    def give_back_all_but_one(self) -> None:
        """The row was none, and the lines after its first are read as rows of their own."""
        self._again.extendleft(reversed(self._taken[1:]))
        self._taken.clear()


def _separator(beginning: str, wanted: Sequence[str]) -> str:
    def score(separator: str) -> tuple[int, int]:
        try:
            rows = csv.reader(io.StringIO(beginning, newline=""), delimiter=separator)
            nothing: list[str] = []
            header = next((row for row in rows if any(cell.strip() for cell in row)), nothing)
        except csv.Error:
            return 0, 0
        return len({cell.strip() for cell in header} & set(wanted)), len(header)

    return max(SEPARATORS, key=score)  # the first of equals, so that commas win


def _check_header(name: str, line: int, header: list[str]) -> None:
    twice = [key for key in dict.fromkeys(header) if key and header.count(key) > 1]
    if twice:
        raise DataError([Fault(name, line, key, "the column stands twice; keep one") for key in twice])


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
