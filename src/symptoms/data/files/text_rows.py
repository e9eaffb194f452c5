"""Rows of text that is no table: JSON lines, a JSON list, an experiment's file, and plain lines.

Each is its line and what stands there: fields, or whatever JSON has, or a Fault where it cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from symptoms.data.files.json_text import is_of_columns
from symptoms.errors import DataError, Fault
from symptoms.text_files import NOT_UTF8, Places, is_undecoded, kind_of, parse_json
from symptoms.words import counted

Found = Iterator[tuple[int, object]]
SHOWN = 5
"""Names that a sentence has."""


def rows_of_plain_lines(path: Path, lines: Iterable[str], notes: list[str]) -> Found:
    """One text a line; empty lines are skipped, of which a note at the end tells."""
    num_empty = 0
    for number, line in enumerate(lines, start=1):
        if is_undecoded(line):
            yield number, Fault(str(path), number, "file", NOT_UTF8)
        elif line.strip():
            yield number, {"input": line.strip()}
        else:
            num_empty += 1
    if num_empty:
        notes.append(f"{path} has {counted(num_empty, 'empty line')}, left out")


def rows_of_json_lines(path: Path, lines: Iterable[str]) -> Found:
    """One document a line; empty lines are skipped."""
    for number, line in enumerate(lines, start=1):
        if is_undecoded(line):
            yield number, Fault(str(path), number, "file", NOT_UTF8)
        elif line.strip():
            try:
                yield number, parse_json(str(path), line.removesuffix("\n"), number)
            except DataError as error:
                yield from ((number, fault) for fault in error.faults)


def rows_of_json(path: Path, text: str, notes: list[str]) -> Found:
    """The elements of a list, or the examples of an experiment; raises DataError for other documents."""
    document: object = parse_json(str(path), text)
    if is_of_columns(document):
        names = ", ".join(map(repr, list(cast(dict[str, object], document))[:SHOWN]))
        problem = (
            f"expected a list of examples, found an object of {names}; save one split as a list, with pandas "
            'by to_json(..., orient="records", lines=True)'
        )
        raise DataError([Fault(str(path), 1, "file", problem)])
    found, key = document, None
    if isinstance(document, dict):
        key = "examples"
        found = cast(dict[str, object], document).get(key)
    if not isinstance(found, list):
        kind = kind_of(cast(object, document))
        problem = f'expected a list of examples or {{"config", "examples"}}, found {kind}'
        raise DataError([Fault(str(path), 1, "file", problem)])
    examples = cast(list[object], found)
    lines = list(Places(text).of_elements(key))
    if len(lines) > 1 and lines[0] == lines[-1]:
        notes.append(f"{path} has all examples on one line, so their numbers stand in place of lines")
        lines = range(1, len(lines) + 1)
    yield from zip(lines, examples, strict=True)
