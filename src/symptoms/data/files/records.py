"""The one reader of data files: records as they stand in a file of any format, not yet checked.

Every format becomes the same: a line, and the fields of one example by our names. What a file calls them
itself is told by `Columns`; columns that are nobody's are left out and noted.
"""

import difflib
import hashlib
import io
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from symptoms.data.files.delimited import rows_of_text
from symptoms.data.files.json_text import holds_a_list, holds_columns, holds_json_lines
from symptoms.data.files.table_files import TABLES, digest_of_folder, rows_of_folder, rows_of_table
from symptoms.data.files.text_rows import Found, rows_of_json, rows_of_json_lines
from symptoms.errors import DataError, Fault
from symptoms.text_files import kind_of, read_text, reading

FIELDS = ("id", "input", "condition", "symptoms", "recommendation", "split")
JSON_LINES = (".jsonl", ".ndjson")
TEXTS = (*JSON_LINES, ".json", ".csv", ".tsv")
NEEDED = ("input", "condition")
"""Fields without which no example can be used."""
OPTION = {"input": "--text-column", "condition": "--label-column"}
USUAL = {
    "input": ("text", "body", "description", "statement", "post", "sentence"),
    "condition": ("label", "labels", "class", "category", "diagnosis", "dx", "status", "target"),
}
"""What others often call these columns, in any case."""
ALIKE = 0.75
"""How alike an unknown name and a missing one must be for it to be a slip, and not a column of its own."""


@dataclass(frozen=True)
class Columns:
    """What a file calls the text and the label of an example."""

    text: str = "input"
    label: str = "condition"

    def our_name(self, theirs: str) -> str | None:
        """The field that a column of the file is; None for one that is left out."""
        if theirs in (self.text, self.label):
            return "input" if theirs == self.text else "condition"
        return theirs if theirs in FIELDS and theirs not in OPTION else None

    def their_name(self, ours: str) -> str:
        """What the file calls a field."""
        return {"input": self.text, "condition": self.label}.get(ours, ours)

    @property
    def all_names(self) -> list[str]:
        """What the file calls the fields."""
        return [self.their_name(name) for name in FIELDS]


AS_OURS = Columns()


def columns_called(text: str | None, label: str | None) -> Columns:
    """The columns of a file by the names that were told; None for ours."""
    return Columns(text or AS_OURS.text, label or AS_OURS.label)


@dataclass(frozen=True)
class Record:
    """One example's fields; `line` is where it begins, or its number where a format has no lines.

    `empty` are those whose cell is empty, which are no fields of it.
    """

    line: int
    fields: dict[str, object]
    empty: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Source:
    """What a file holds. `digest` is the SHA-256 of its bytes, `notes` what a reader should know of it."""

    records: tuple[Record, ...]
    digest: str
    notes: tuple[str, ...]


def read_source(path: Path, faults: list[Fault], columns: Columns = AS_OURS) -> Source:
    """The records of a file or of a folder of `datasets`; what is none is added to the faults.

    Raises DataError for a file that is not there or cannot be read at all.
    """
    notes: list[str] = []
    suffix, digest = path.suffix.lower(), ""
    if path.is_dir():
        found, digest = rows_of_folder(path), digest_of_folder(path)
    elif suffix in TABLES:
        with reading(path):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found = rows_of_table(path, notes)
    elif suffix in TEXTS:
        text, content = read_text(path)
        digest = hashlib.sha256(content).hexdigest()
        found = rows_of_whole(path, text, columns, notes)
    else:
        faults.append(ending_fault(path, (*TEXTS, *TABLES)))
        found = iter(())
    names = Names(columns)
    records: list[Record] = []
    try:
        for one in records_of(path, found, columns, names):
            if isinstance(one, Fault):
                faults.append(one)
            else:
                records.append(one)
    except DataError as error:
        faults.extend(error.faults)
    if records:
        of_names, lacks = names.faults(path, NEEDED)
        faults.extend(of_names)
        if lacks:
            records.clear()
        elif extra := names.left_alone():
            notes.append(f"{path}: {_names(extra)} {'are' if len(extra) > 1 else 'is'} left out")
    return Source(tuple(records), digest, tuple(notes))


def is_table(path: Path) -> bool:
    """Whether a file has columns, so that an empty cell is a missing field."""
    return path.is_dir() or path.suffix.lower() in (".csv", ".tsv", *TABLES)


def ending_fault(path: Path, known: Sequence[str]) -> Fault:
    """That the file ends in none of the known ways."""
    found = path.suffix.lower() or "no ending"
    return Fault(str(path), 1, "file", f"expected a file that ends in {', '.join(known)}, found {found}")


def holds_experiment(path: Path) -> bool:
    """Whether a file is an experiment with its configuration; raises DataError where it cannot be read."""
    if path.suffix.lower() != ".json" or path.is_dir():
        return False
    text, _ = read_text(path)
    return text.lstrip().startswith("{") and not holds_json_lines(text) and not holds_columns(text)


def rows_of_whole(path: Path, text: str, columns: Columns, notes: list[str]) -> Found:
    """The rows of a text file's whole content, whatever its ending says."""
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return rows_of_text(path, io.StringIO(text, newline=""), text, columns.all_names, notes)
    # Not splitlines: JSON strings may hold U+2028 and its like, which end no line in a file.
    lines = text.split("\n")
    if holds_columns(text):
        return rows_of_json(path, text, notes)
    if suffix in JSON_LINES:
        if not holds_a_list(text):
            return rows_of_json_lines(path, lines)
        notes.append(f"{path} holds a JSON list, which usually ends in .json; read as such")
        return rows_of_json(path, text, notes)
    if holds_json_lines(text):
        notes.append(f"{path} holds JSON lines, which usually end in .jsonl; read as such")
        return rows_of_json_lines(path, lines)
    return rows_of_json(path, text, notes)


class Names:
    """Which names the records of a file have, as far as they were read while it was told of them."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._any = False
        self._has: set[str] = set()
        self._left_out: dict[str, int] = {}
        self._slips: dict[str, Fault] = {}

    @property
    def any_seen(self) -> bool:
        """Whether there was any record."""
        return self._any

    def see(self, path: Path, line: int, given: Mapping[str, object], fields: Collection[str]) -> None:
        """Note a record as it stands there, and by our names."""
        self._any = True
        self._has.update(fields)
        for theirs in given:
            if self._columns.our_name(theirs) is None and theirs not in self._slips:
                self._left_out.setdefault(theirs, line)
                slip = _slip(theirs, self._columns, fields)
                if slip is not None:
                    problem = f"unknown name; did you mean {slip!r}?"
                    self._slips[theirs] = Fault(str(path), line, theirs, problem)

    def faults(self, path: Path, needed: Sequence[str]) -> tuple[list[Fault], bool]:
        """Slips, and needed fields that no record has, each told once; and whether there are any such."""
        lacking = [name for name in needed if name not in self._has]
        told = [_lacking(path, name, self._columns, self._left_out) for name in lacking]
        return [*self._slips.values(), *told], bool(lacking)

    def left_alone(self) -> list[str]:
        """The columns that are nobody's."""
        return [name for name in self._left_out if name not in self._slips]


def records_of(
    path: Path, found: Iterable[tuple[int, object]], columns: Columns, names: Names | None
) -> Iterator[Record | Fault]:
    """The rows as records by our names, or a Fault for one that is none; `names` are told of each."""
    table = is_table(path)
    for line, one in found:
        if isinstance(one, Fault):
            yield one
        elif not isinstance(one, dict):
            problem = f'expected {{"{columns.text}", ...}}, found {kind_of(one)}'
            yield Fault(str(path), line, "example", problem)
        else:
            given = cast(dict[str, object], one)
            fields = {ours: value for key, value in given.items() if (ours := columns.our_name(key))}
            if names is not None:
                names.see(path, line, given, fields)
            empty = frozenset(name for name, value in fields.items() if table and value is None)
            yield Record(line, {name: value for name, value in fields.items() if name not in empty}, empty)


def _slip(theirs: str, columns: Columns, fields: Collection[str]) -> str | None:
    """The name that this one is nearly, of those its record lacks: `symptms` would be lost in silence."""
    return _alike(theirs, tuple(columns.their_name(name) for name in FIELDS if name not in fields))


@lru_cache(maxsize=1024)
def _alike(name: str, names: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=ALIKE)), None)


def _lacking(path: Path, name: str, columns: Columns, left_out: Mapping[str, int]) -> Fault:
    what = "column" if is_table(path) else "field"
    there = f", found {_names(left_out)}" if left_out else ""
    option = OPTION.get(name, "that name")
    usual = next((one for one in left_out if one.casefold() in USUAL.get(name, ())), None)
    named = f", perhaps {option} {shlex.quote(usual)}" if usual else ""
    problem = f"expected a {what} of this name{there}; name yours with {option}{named}"
    return Fault(str(path), 1, columns.their_name(name), problem)


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
