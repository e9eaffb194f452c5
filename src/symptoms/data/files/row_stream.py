"""The rows of a file of any size, one after the other, with a few of them in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from symptoms.data.files.delimited import rows_of_text
from symptoms.data.files.records import (
    JSON_LINES,
    TEXTS,
    Columns,
    columns_called,
    ending_fault,
    rows_of_whole,
)
from symptoms.data.files.table_files import PARQUET, TABLES, rows_in_parquet, rows_of_folder, rows_of_table
from symptoms.data.files.text_rows import Found, rows_of_json_lines, rows_of_plain_lines
from symptoms.errors import DataError, Fault
from symptoms.text_files import lines_of, open_text, read_text, reading

PLAIN = ".txt"
BEGINNING = 65_536
"""Characters in which the separator of columns, and whether JSON is a list, are looked for."""


class RowStream:
    """The rows of a file or of a folder of `datasets`: each a line with its fields, or with a Fault.

    JSON that is one document, and Excel, are read whole. Raises DataError for a file that is not there or
    is of no known kind, and while it is iterated over for one that cannot be read on.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.notes: list[str] = []
        """How the file was read where that was guessed, and what was left out as far as it was read."""
        self._path = path
        self._columns = columns
        self._stream: TextIO | None = None
        self._size = 0
        self.counted: int | None = None
        """The number of rows, where the file tells it."""
        self.rows: Found = self._open()

    def total(self, read: int) -> int | None:
        """About how many rows there are, of which so many were read; None where nobody can tell."""
        if self.counted is not None or self._stream is None or self._stream.closed:
            return self.counted
        # What was read ahead of the last row is a few kilobytes.
        return max(read, round(self._size / max(1, self._stream.buffer.tell()) * read))

    def _open(self) -> Found:
        path, suffix = self._path, self._path.suffix.lower()
        if path.is_dir():
            return rows_of_folder(path)
        with reading(path):
            self._size = path.stat().st_size
        if suffix == PARQUET:
            self.counted = rows_in_parquet(path)
        if suffix in TABLES:
            return rows_of_table(path, self.notes)
        if suffix == PLAIN:
            return rows_of_plain_lines(path, self._lines("\n"), self.notes)
        if suffix in (".csv", ".tsv"):
            beginning, names = self._beginning(""), self._columns.all_names
            return rows_of_text(path, self._lines(""), beginning, names, self.notes)
        if suffix in JSON_LINES and not self._beginning("\n").lstrip().startswith("["):
            return rows_of_json_lines(path, self._lines("\n"))
        if suffix in TEXTS:
            text, _ = read_text(path)
            return rows_of_whole(path, text, self._columns, self.notes)
        raise DataError([ending_fault(path, (*TEXTS, *TABLES, PLAIN))])

    def _beginning(self, newline: str) -> str:
        with open_text(self._path, newline) as stream, reading(self._path):
            return stream.read(BEGINNING)

    def _lines(self, newline: str) -> Iterator[str]:
        with open_text(self._path, newline) as stream:
            self._stream = stream
            yield from lines_of(self._path, stream)


def count_rows(path: Path) -> int:
    """How many rows a file holds, whatever its columns are called; raises DataError for one at fault."""
    number = 0
    for row in RowStream(path, columns_called(None, None)).rows:
        if isinstance(row, Fault):
            raise DataError([row])
        number += 1
    return number
