"""Descriptions to assess, many in one file: any data file, or plain lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from symptoms.data.files.reading import kind_of
from symptoms.data.files.records import Columns, read_source
from symptoms.errors import DataError, Fault


@dataclass(frozen=True)
class Description:
    """A description, the line on which it stands in its file, and its id where the file has one."""

    text: str
    line: int
    id: str | None = None


def load_descriptions(path: Path, text_column: str = "input") -> tuple[Description, ...]:
    """All descriptions of a file; raises DataError with every fault in it.

    The description is what `text_column` has, and whatever else there is but an `id` is left alone. A text
    file has one description a line, and empty lines are skipped.
    """
    faults: list[Fault] = []
    source = read_source(path, faults, Columns(text=text_column), needed=("input",))
    found: list[Description] = []
    for record in source.records:
        text, identifier = record.fields.get("input", "" if source.table else None), record.fields.get("id")
        if isinstance(text, str):
            known = None if identifier in (None, "") else str(identifier)
            found.append(Description(text, record.line, known))
        else:
            faults.append(Fault(str(path), record.line, text_column, f"expected text, found {kind_of(text)}"))
    if not found and not faults:
        faults.append(Fault(str(path), 1, "file", "expected at least one description, found none"))
    if faults:
        raise DataError(sorted(faults, key=lambda fault: fault.line))
    return tuple(found)
