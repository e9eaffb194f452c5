"""The one reader of data files: records as they stand in a file of any format, not yet checked.

Every format becomes the same: a line, and the fields of one example by our names. What a file calls them
itself is told by `Columns`; columns that are nobody's are left out and noted.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from symptoms.data.experiment import load_experiment
from symptoms.data.files.delimited import rows_of_text
from symptoms.data.files.json_text import holds_a_list, holds_json_lines
from symptoms.data.files.reading import Places, kind_of, parse_json, read_text
from symptoms.data.files.table_files import TABLES, digest_of_folder, rows_of_folder, rows_of_table
from symptoms.errors import DataError, Fault

FIELDS = ("id", "input", "condition", "symptoms", "recommendation", "split")
TEXTS = (".jsonl", ".json", ".csv", ".tsv")
PLAIN = ".txt"
OPTION = {"input": "--text-column", "condition": "--label-column"}
ALIKE = 0.75
"""How alike an unknown name and a missing one must be for it to be a slip, and not a column of its own."""

Found = Iterator[tuple[int, object]]


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


AS_OURS = Columns()


def columns_called(text: str | None, label: str | None) -> Columns:
    """The columns of a file by the names that were told; None for ours."""
    return Columns(text or AS_OURS.text, label or AS_OURS.label)


@dataclass(frozen=True)
class Record:
    """One example's fields; `line` is where it begins, or its number where a format has no lines."""

    line: int
    fields: dict[str, object]


@dataclass(frozen=True)
class Source:
    """What a file holds. `digest` is the SHA-256 of its bytes, `notes` what a reader should know of it.

    In a `table` an empty cell is a missing field.
    """

    records: tuple[Record, ...]
    digest: str
    notes: tuple[str, ...]
    table: bool


def read_source(
    path: Path,
    faults: list[Fault],
    columns: Columns = AS_OURS,
    needed: Sequence[str] = ("input", "condition"),
) -> Source:
    """The records of a file or of a folder of `datasets`; what is none is added to the faults.

    `needed` are the fields without which no record can be used. Raises DataError for a file that is not
    there or cannot be read at all.
    """
    notes: list[str] = []
    suffix, is_table = path.suffix.lower(), path.is_dir() or path.suffix.lower() in (".csv", ".tsv", *TABLES)
    digest = ""
    if path.is_dir():
        found, digest = rows_of_folder(path), digest_of_folder(path)
    elif suffix in TABLES:
        digest = hashlib.sha256(_bytes_of(path)).hexdigest()
        found = rows_of_table(path)
    elif suffix in TEXTS or (suffix == PLAIN and tuple(needed) == ("input",)):
        text, content = read_text(path)
        digest = hashlib.sha256(content).hexdigest()
        wanted = [columns.their_name(name) for name in FIELDS]
        found = _of_text(path, text, wanted, faults, notes)
    else:
        known = ", ".join((*TEXTS, *TABLES, *([PLAIN] if tuple(needed) == ("input",) else [])))
        problem = f"expected a file that ends in {known}, found {suffix or 'no ending'}"
        faults.append(Fault(str(path), 1, "file", problem))
        found = iter(())
    records = _records(path, found, columns, needed, is_table, faults, notes)
    return Source(tuple(records), digest, tuple(notes), is_table)


def holds_experiment(path: Path) -> bool:
    """Whether a file is an experiment with its configuration; raises DataError where it cannot be read."""
    if path.suffix.lower() != ".json":
        return False
    text, _ = read_text(path)
    return text.lstrip().startswith("{") and not holds_json_lines(text)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "there is no such file; check the path"
        if not isinstance(error, FileNotFoundError):
            reason = f"cannot be read ({error.strerror}); give a file that can"
        raise DataError([Fault(str(path), 1, "file", reason)]) from error


def _of_text(path: Path, text: str, wanted: Sequence[str], faults: list[Fault], notes: list[str]) -> Found:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return rows_of_text(path, text, wanted, faults, notes)
    if suffix == PLAIN:
        return _of_plain_lines(text)
    if suffix == ".jsonl":
        if not holds_a_list(text):
            return _of_json_lines(path, text, faults)
        notes.append(f"{path} holds a JSON list, which usually ends in .json; read as such")
        return _of_json(path, text, faults, notes)
    if holds_json_lines(text):
        notes.append(f"{path} holds JSON lines, which usually end in .jsonl; read as such")
        return _of_json_lines(path, text, faults)
    return _of_json(path, text, faults, notes)


def _of_plain_lines(text: str) -> Found:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, {"input": line.strip()}


def _of_json_lines(path: Path, text: str, faults: list[Fault]) -> Found:
    # Not splitlines: JSON strings may hold U+2028 and its like, which end no line in a file.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_json(str(path), line, number)
            except DataError as error:
                faults.extend(error.faults)


def _of_json(path: Path, text: str, faults: list[Fault], notes: list[str]) -> Found:
    document = parse_json(str(path), text)
    if isinstance(document, dict):
        yield from _of_experiment(path, faults)
    elif isinstance(document, list):
        examples = cast(list[object], document)
        lines = list(Places(text).of_elements())
        if len(lines) > 1 and lines[0] == lines[-1]:
            notes.append(f"{path} has all examples on one line, so their numbers stand in place of lines")
            lines = range(1, len(lines) + 1)
        yield from zip(lines, examples, strict=True)
    else:
        problem = f'expected a list of examples or {{"config", "examples"}}, found {kind_of(document)}'
        faults.append(Fault(str(path), 1, "file", problem))


def _of_experiment(path: Path, faults: list[Fault]) -> Found:
    for number, example in enumerate(load_experiment(path).examples, start=1):
        if example.label is None or not example.is_assessed:
            problem = "expected the three lines Primary concern, Key symptoms and Recommendation"
            faults.append(Fault(str(path), example.line, f"example {number}, output", problem))
            continue
        fields: dict[str, object] = {
            "input": example.input,
            "condition": example.label.text,
            "symptoms": list(example.symptoms or ()),
            "recommendation": example.recommendation,
        }
        yield example.line, fields


def _records(
    path: Path,
    found: Iterable[tuple[int, object]],
    columns: Columns,
    needed: Sequence[str],
    is_table: bool,
    faults: list[Fault],
    notes: list[str],
) -> list[Record]:
    """The records by our names; fields that no record has, and slips, are faults told once."""
    records: list[Record] = []
    left_out: dict[str, int] = {}
    slips: dict[str, Fault] = {}
    has: set[str] = set()
    try:
        for line, one in found:
            if not isinstance(one, dict):
                problem = f'expected {{"{columns.text}", ...}}, found {kind_of(one)}'
                faults.append(Fault(str(path), line, "example", problem))
                continue
            given = cast(dict[str, object], one)
            fields = {ours: value for key, value in given.items() if (ours := columns.our_name(key))}
            for theirs in given:
                if columns.our_name(theirs) is None and theirs not in slips:
                    left_out.setdefault(theirs, line)
                    slip = _slip(theirs, columns, fields)
                    if slip is not None:
                        slips[theirs] = Fault(
                            str(path), line, theirs, f"unknown name; did you mean {slip!r}?"
                        )
            has.update(fields)
            if is_table:
                fields = {name: value for name, value in fields.items() if value is not None}
            records.append(Record(line, fields))
    except DataError as error:
        faults.extend(error.faults)
    if not records:
        return records
    lacking = [name for name in needed if name not in has]
    faults.extend(slips.values())
    if lacking:
        faults.extend(_lacking(path, name, columns, left_out, is_table) for name in lacking)
        return []
    if left_out and tuple(needed) != ("input",):  # of descriptions everything else is left alone
        extra = [name for name in left_out if name not in slips]
        if extra:
            notes.append(f"{path}: {_names(extra)} {'are' if len(extra) > 1 else 'is'} left out")
    return records


def _slip(theirs: str, columns: Columns, fields: Collection[str]) -> str | None:
    """The name that this one is nearly, of those its record lacks: `symptms` would be lost in silence."""
    return _alike(theirs, tuple(columns.their_name(name) for name in FIELDS if name not in fields))


@lru_cache(maxsize=1024)
def _alike(name: str, names: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=ALIKE)), None)


def _lacking(path: Path, name: str, columns: Columns, left_out: dict[str, int], is_table: bool) -> Fault:
    what = "column" if is_table else "field"
    there = f", found {_names(left_out)}" if left_out else ""
    problem = f"expected a {what} of this name{there}; name yours with {OPTION.get(name, 'that name')}"
    return Fault(str(path), 1, columns.their_name(name), problem)


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
