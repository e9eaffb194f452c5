"""Text files of any kind: text from bytes, JSON and TOML, lines of faults, and words for what was found."""

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from symptoms.errors import DataError, Fault

SPACE = " \t\r\n"
FEW = 15
NOT_UTF8 = "expected UTF-8 text; save the file as UTF-8"
LONGEST_LINE = 1_000_000
"""Characters of a line that are kept of a file read row by row, far beyond what a model reads."""
_UNDECODED = re.compile("[\udc80-\udcff]")


def read_text(path: Path) -> tuple[str, bytes]:
    """The file's text and its bytes; raises DataError where it cannot be read or is not UTF-8."""
    name = str(path)
    with reading(path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig"), content
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError([Fault(name, line, "file", NOT_UTF8)]) from error


@contextmanager
def reading(path: Path) -> Generator[None, None, None]:
    """Whatever keeps a file from being read in this block is told as a DataError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError([Fault(str(path), 1, "file", "there is no such file; check the path")]) from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); give a file that can"
        raise DataError([Fault(str(path), 1, "file", reason)]) from error


def open_text(path: Path, newline: str) -> TextIO:
    """A file to be read line by line; bytes that are no UTF-8 stand in it as `is_undecoded` finds them.

    `newline` is as in `open`. Raises DataError where it cannot be read.
    """
    with reading(path):
        return open(path, encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def lines_of(path: Path, stream: TextIO) -> Iterator[str]:
    """Lines with their ends, in memory that no line can exceed: of a longer one the rest is left out."""
    with reading(path):
        while line := stream.readline(LONGEST_LINE):
            yield line
            while len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
                line = stream.readline(LONGEST_LINE)


def is_undecoded(text: str) -> bool:
    """Whether it has bytes that are no UTF-8."""
    return not text.isascii() and _UNDECODED.search(text) is not None


def parse_json(name: str, text: str, first_line: int = 1) -> Any:
    """The document in `text`, which begins on `first_line` of the file; raises DataError with one fault.

    Beyond the standard parser it refuses a key that stands twice, of which that one keeps the last.
    """
    repeated: list[str] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        repeated.extend({key for key in keys if keys.count(key) > 1})
        return dict(pairs)

    try:
        document = json.loads(text, object_pairs_hook=read_object)
    except json.JSONDecodeError as error:
        problem = f"not valid JSON at column {error.colno} ({error.msg.lower()})"
        raise DataError([Fault(name, first_line + error.lineno - 1, "file", problem)]) from error
    except RecursionError as error:
        problem = "expected two levels of JSON, found far more"
        raise DataError([Fault(name, first_line, "file", problem)]) from error
    except ValueError as error:
        # Python refuses to read numbers of thousands of digits.
        raise DataError([Fault(name, first_line, "file", f"a number cannot be read ({error})")]) from error
    if repeated:
        line = first_line + text.count("\n", 0, max(0, text.rfind(json.dumps(repeated[0]))))
        raise DataError([Fault(name, line, repeated[0], "the key stands twice in one object; keep one")])
    return document


def parse_toml(name: str, text: str) -> dict[str, Any]:
    """The document in `text`; raises DataError for one that is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError([Fault(name, 1, "file", f"not valid TOML ({error})")]) from error


def line_in_toml(text: str, key: str) -> int:
    """The first line that begins with a key or with the table of its name; 1 where none does."""
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if line.lstrip(" [\"'").startswith(key)), 1)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    names: Mapping[type, str] = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    if value is None:
        return "nothing"
    return names.get(type(value), "a number")


def nearest(word: str, valid: Collection[str]) -> str:
    """The end of a sentence on an unknown word: the valid one that it resembles, or all of a few."""
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of: {', '.join(valid)}" if len(valid) <= FEW else ""


class Places:
    """Line numbers inside a valid JSON document, found by walking it with the standard decoder."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()

    def of_key(self, *keys: str) -> int:
        """The line of a key, given from the outside in; the line of its parent where it is missing."""
        start, line = 0, 1
        for key in keys:
            start = self._skip(start)
            if self._text[start] != "{":
                return line
            for found, key_start, value_start in self._members(start):
                if found == key:
                    start, line = value_start, self._line(key_start)
                    break
            else:
                return line
        return line

    def of_elements(self, key: str | None = None) -> Iterator[int]:
        """The line on which each element begins, of the list at `key` or of the document itself."""
        if key is None:
            yield from self._elements(self._skip(0))
            return
        for found, _, value_start in self._members(self._skip(0)):
            if found == key:
                yield from self._elements(value_start)

    def _elements(self, start: int) -> Iterator[int]:
        position, line, counted = self._skip(start + 1), 1, 0
        while self._text[position] != "]":
            line += self._text.count("\n", counted, position)
            counted = position
            yield line
            _, position = self._decoder.raw_decode(self._text, position)
            position = self._skip(position, also=",")

    def _members(self, start: int) -> Iterator[tuple[str, int, int]]:
        """(key, position of the key, position of its value) of the object at `start`."""
        position = self._skip(start + 1)
        while self._text[position] != "}":
            key_start = position
            key, position = self._decoder.raw_decode(self._text, position)
            value_start = self._skip(position, also=":")
            yield key, key_start, value_start
            _, position = self._decoder.raw_decode(self._text, value_start)
            position = self._skip(position, also=",")

    def _skip(self, position: int, also: str = "") -> int:
        while self._text[position] in SPACE or self._text[position] in also:
            position += 1
        return position

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1
