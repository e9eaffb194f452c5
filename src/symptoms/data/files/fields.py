"""The fields of one example, each read strictly: the right value, or a fault with its line."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import cast

from symptoms.data.example import SPLIT_NAMES, SPLITS
from symptoms.data.files.delimited import terms_of_cell
from symptoms.data.files.records import Record
from symptoms.data.written_assessment import NO_SYMPTOMS
from symptoms.errors import Fault
from symptoms.text_files import kind_of, nearest

EMPTY_CELL = "expected text, found an empty cell; fill it in, or take the row out"
LONGEST_FIELD = 10_000
"""Characters. A longer text is a file pasted into a field; contexts of models hold far less."""


class FieldReader:
    """Reads the records of one file, of which no two may share an id.

    `their_names` are what the file itself calls fields, for faults.
    """

    def __init__(self, name: str, faults: list[Fault], their_names: Mapping[str, str]) -> None:
        self._name = name
        self._their_names = their_names
        self._faults = faults
        self._line_of_id: dict[str, int] = {}
        self._record = Record(1, {})

    def of(self, record: Record) -> FieldReader:
        """The same reader, turned to the next record."""
        self._record = record
        return self

    def text(self, key: str, one_line: bool = False) -> str:
        """A required text without the space around it; empty where it is at fault."""
        found = self._record.fields.get(key)
        if found is None:
            missing = "nothing" if key in self._record.fields else "no such field"
            self._fault(key, EMPTY_CELL if key in self._record.empty else f"expected text, found {missing}")
            return ""
        return self._checked(key, found, one_line)

    def optional_text(self, key: str) -> str | None:
        """One line of text, or None where the field is missing."""
        found = self._record.fields.get(key)
        return None if found is None else self._checked(key, found, one_line=True)

    def identifier(self, default: str) -> str:
        """The example's own id, or the default."""
        identifier = self.optional_text("id") or default
        if identifier in self._line_of_id:
            line = self._line_of_id[identifier]
            self._fault("id", f"{identifier!r} is also the id of line {line}; change one")
        self._line_of_id.setdefault(identifier, self._record.line)
        return identifier

    def split(self) -> str | None:
        """`train`, `dev`, `test` or None."""
        split = self.optional_text("split")
        if split and split.lower() not in SPLIT_NAMES:
            self._fault("split", f"unknown split {split!r}{nearest(split, SPLITS)}")
        return split and SPLIT_NAMES.get(split.lower(), split)

    def symptoms(self) -> tuple[str, ...] | None:
        """The symptom terms, of a list or of a text as a cell has them; None where the field is missing."""
        found = self._record.fields.get("symptoms")
        if found is None:
            return None
        if isinstance(found, str):
            found = terms_of_cell(found)
        if not isinstance(found, list):
            self._fault("symptoms", f"expected a list of symptoms, found {kind_of(found)}")
            return None
        terms = [self._checked("symptoms", term, one_line=True) for term in cast(list[object], found)]
        for term in dict.fromkeys(terms):
            if "," in term:
                self._fault("symptoms", f"expected one symptom without a comma, found {term!r}")
            if term == NO_SYMPTOMS:
                self._fault("symptoms", f"{NO_SYMPTOMS!r} is not a symptom; write an empty list")
        return tuple(terms)

    def _checked(self, key: str, found: object, one_line: bool) -> str:
        if not isinstance(found, str):
            self._fault(key, f"expected text, found {kind_of(found)}")
            return ""
        text = found.strip()
        if not text:
            self._fault(key, "expected text, found an empty string")
            return ""
        if len(text) > LONGEST_FIELD:
            self._fault(
                key, f"expected at most {LONGEST_FIELD:,} characters, found {len(text):,}; shorten it"
            )
        if one_line and len(text.splitlines()) > 1:
            self._fault(key, "expected one line, found a line break")
        odd = next((character for character in text if _is_odd(character)), None)
        if odd is not None:
            kind = "half of a surrogate pair" if unicodedata.category(odd) == "Cs" else "a control character"
            self._fault(key, f"expected text, found {kind} (U+{ord(odd):04X}); remove it")
        return text

    def _fault(self, key: str, problem: str) -> None:
        their_name = self._their_names.get(key, key)
        self._faults.append(Fault(self._name, self._record.line, their_name, problem))


def _is_odd(character: str) -> bool:
    return unicodedata.category(character) in ("Cs", "Cc") and character not in "\n\r\t"
