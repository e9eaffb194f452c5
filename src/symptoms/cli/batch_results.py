"""The file of results of `symptoms assess --file`: JSON lines that are gone on with where they end."""

from __future__ import annotations

import fcntl
import json
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from symptoms.classifier import Assessment
from symptoms.data.descriptions import Description
from symptoms.errors import Fault, InputError
from symptoms.taxonomy import OUT_OF_SCOPE

Row = tuple[int, Description | Fault]
"""A row of the file of descriptions with its number, from 1 on."""


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` shares of a file's rows, from 1 on: every `count`-th row from that one on."""

    index: int = 1
    count: int = 1

    @classmethod
    def told(cls, text: str) -> Shard:
        """As in `3/8`; raises InputError for anything else."""
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise InputError(f"--shard {text!r} is none; give the share and how many there are, such as 1/4.")
        return cls(int(index), int(count))

    def of(self, rows: Iterator[Description | Fault]) -> Iterator[Row]:
        """The rows that are in it, with their numbers in the file."""
        return (row for row in enumerate(rows, start=1) if row[0] % self.count == self.index % self.count)

    def share_of(self, total: int) -> int:
        """How many of so many rows are in it."""
        return len(range(self.index, total + 1, self.count))


WHOLE = Shard()


@dataclass
class ResultCounts:
    """How many lines were written of each kind, the earlier ones included, and by which checkpoint."""

    checkpoint: str | None = None
    counts: Counter[str] = field(default_factory=Counter[str])

    @property
    def total(self) -> int:
        """All lines."""
        return sum(self.counts[kind] for kind in ("answered", "no reason", "abstained", "unreadable"))

    def add(self, line: dict[str, Any]) -> None:
        """Count a line; raises KeyError for one that is no result."""
        self.checkpoint = str(line["checkpoint"])
        if "error" in line:
            self.counts["unreadable"] += 1
            return
        answered = "no reason" if line["condition"] in OUT_OF_SCOPE else "answered"
        self.counts["abstained" if line["abstained"] else answered] += 1
        notice = line.get("language_notice") or {"screened": True}
        self.counts.update(crisis=int(line["crisis"]), unscreened=int(not notice.get("screened")))


@contextmanager
def opened_results(out: Path | None) -> Generator[BinaryIO, None, None]:
    """The file to write to, for this process alone, or standard output.

    Raises InputError where it cannot be written or another process writes to it.
    """
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = open(out, "r+b" if out.exists() else "w+b")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{out} is being written by another process; give each --shard an --out of its own."
            ) from error
        yield file


def skip_finished(out: Path, file: BinaryIO, rows: Iterator[Row]) -> ResultCounts:
    """Take the rows whose results are there, line by line, and cut off half a line of a killed process.

    Raises InputError where the file has something else.
    """
    written, whole = ResultCounts(), 0
    for place, raw in enumerate(file, start=1):
        if not raw.endswith(b"\n"):
            break
        begun_by = written.checkpoint
        try:
            line: Any = json.loads(raw)
            written.add(line)
            text = line["input"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{out}:{place}: this is no result of 'symptoms assess'; choose another --out."
            ) from error
        if begun_by not in (None, written.checkpoint):
            raise InputError(
                f"{out}:{place}: this is by {written.checkpoint}, and the lines before it by {begun_by}; "
                "choose another --out."
            )
        number, row = next(rows, (place, None))
        expected = row.text if isinstance(row, Description) else None
        if row is None or text != expected or line.get("number", number) != number:
            raise InputError(
                f"{out}:{place}: this is not the result of description {number}; "
                "choose another --out, or remove it."
            )
        whole += len(raw)
    file.truncate(whole)
    file.seek(whole)
    return written


def result_line(row: Row, checkpoint: str, outcome: Assessment | InputError) -> dict[str, Any]:
    """What is written of a row; `input` is null where it had no description."""
    number, described = row
    known: dict[str, Any] = {"number": number, "line": described.line}
    text = None
    if isinstance(described, Description):
        text = described.text
        if described.id is not None:
            known["id"] = described.id
    known |= {"input": text, "checkpoint": checkpoint}
    if isinstance(outcome, InputError):
        return {**known, "error": str(outcome)}
    return {**known, **outcome.to_json()}


def encoded(line: dict[str, Any]) -> bytes:
    """The line as it stands in the file."""
    # Half of a surrogate pair becomes the escape that JSON has for it.
    return (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
