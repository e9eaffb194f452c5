"""Descriptions to assess, many in one file: any data file, or plain lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from symptoms.data.files.records import Columns, Names, Record, is_table, records_of
from symptoms.data.files.row_stream import RowStream
from symptoms.errors import DataError, Fault, in_lines
from symptoms.text_files import NOT_UTF8, kind_of

HEAD = 1000
"""Rows that are read before anything else is done, for what is the matter with the whole file."""
FAULTS_SHOWN = 20


@dataclass(frozen=True)
class Description:
    """A description, the line on which it stands in its file, and its id where the file has one."""

    text: str
    line: int
    id: str | None = None


class Descriptions:
    """The descriptions of a file, to be iterated over once; a Fault stands in the place of a row without.

    However large the file is, some thousand rows of it are in memory; JSON that is one document, and Excel,
    are read whole. The description is what `text_column` has, and whatever else there is but an `id` is left
    alone. A text file has one description a line. Empty lines are skipped.

    Making it reads the first 1,000 rows. Raises DataError for what is the matter with the file as a whole:
    where there is none, its kind, columns or names cannot be used, it is no UTF-8, or none of those rows
    has a description.
    """

    def __init__(self, path: Path, text_column: str = "input") -> None:
        self._path = path
        self._columns = Columns(text=text_column)
        self._stream = RowStream(path, self._columns)
        names = Names(self._columns)
        rows = self._stream.rows
        head = list(self._of(records_of(path, islice(rows, HEAD), self._columns, names)))
        self._check(head, names)
        self._total = len(head) if len(head) < HEAD else None
        self._ahead, self._given = len(head), 0
        self._all = chain(head, self._of(records_of(path, rows, self._columns, None)))

    def __iter__(self) -> Iterator[Description | Fault]:
        return self

    def __next__(self) -> Description | Fault:
        try:
            one = next(self._all)
        except StopIteration:
            self._total = self._given
            raise
        self._given += 1
        return one

    @property
    def notes(self) -> tuple[str, ...]:
        """How the file was read where that was guessed, and what was left out as far as it was read."""
        return tuple(self._stream.notes)

    @property
    def total(self) -> int | None:
        """How many rows there are, as far as the file's size tells it; None where nobody can tell yet."""
        return self._stream.total(max(self._ahead, self._given)) if self._total is None else self._total

    @property
    def total_is_counted(self) -> bool:
        """Whether the total is not an estimate."""
        return self._total is not None or self._stream.counted is not None

    def _of(self, records: Iterable[Record | Fault]) -> Iterator[Description | Fault]:
        table = is_table(self._path)
        for record in records:
            if isinstance(record, Fault):
                yield record
                continue
            text, identifier = record.fields.get("input", "" if table else None), record.fields.get("id")
            if isinstance(text, str):
                known = None if identifier in (None, "") else str(identifier)
                yield Description(text, record.line, known)
            else:
                problem = f"expected text, found {kind_of(text)}"
                yield Fault(str(self._path), record.line, self._columns.text, problem)

    def _check(self, head: list[Description | Fault], names: Names) -> None:
        faults = [one for one in head if isinstance(one, Fault)]
        if not head:
            problem = "expected at least one description, found none"
            raise DataError([Fault(str(self._path), 1, "file", problem)])
        encoding = [fault for fault in faults if fault.problem == NOT_UTF8]
        if encoding:
            raise DataError(encoding[:1])
        of_names, _ = names.faults(self._path, ("input",)) if names.any_seen else ([], False)
        if of_names:
            raise DataError(sorted(of_names, key=lambda fault: fault.line))
        if len(faults) == len(head):
            if len(in_lines(faults)) <= FAULTS_SHOWN:
                raise DataError(faults)
            more = len(faults) - FAULTS_SHOWN
            rest = (
                [Fault(str(self._path), faults[FAULTS_SHOWN].line, "row", f"and {more} more")]
                if more > 0
                else []
            )
            raise DataError([*faults[:FAULTS_SHOWN], *rest])
