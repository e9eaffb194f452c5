"""The experiment's file: a configuration and examples, checked as a whole before anything is trained."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from symptoms.config import ExperimentConfig
from symptoms.errors import DataError, Fault

SPACE = " \t\r\n"
BLANK_LINE = "\n\n"


@dataclass(frozen=True)
class Example:
    """A symptom description and the assessment wanted for it; `line` is where it begins in its file."""

    input: str
    output: str
    line: int


@dataclass(frozen=True)
class Experiment:
    """A checked data file. `digest` is the SHA-256 of its bytes."""

    path: Path
    config: ExperimentConfig
    examples: tuple[Example, ...]
    digest: str

    @property
    def test_cases(self) -> tuple[Example, ...]:
        """The examples that the configuration names, or three spread evenly."""
        chosen = self.config.test_examples
        if not chosen:
            count = min(3, len(self.examples))
            chosen = [1 + index * len(self.examples) // count for index in range(count)]
        return tuple(self.examples[number - 1] for number in chosen)


def load_experiment(path: Path) -> Experiment:
    """Read and check a file; raises DataError with every fault in it, each with line and field."""
    name = str(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError([Fault(name, 1, "file", "there is no such file; check the path")]) from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); give a file that can"
        raise DataError([Fault(name, 1, "file", reason)]) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError([Fault(name, line, "file", "expected UTF-8 text; save the file as UTF-8")]) from error
    repeated: list[str] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        repeated.extend({key for key in keys if keys.count(key) > 1})
        return dict(pairs)

    try:
        document = json.loads(text, object_pairs_hook=read_object)
    except json.JSONDecodeError as error:
        problem = f"not valid JSON at column {error.colno} ({error.msg.lower()})"
        raise DataError([Fault(name, error.lineno, "file", problem)]) from error
    except RecursionError as error:
        raise DataError([Fault(name, 1, "file", "expected two levels of JSON, found far more")]) from error
    except ValueError as error:
        # Python refuses to read numbers of thousands of digits.
        raise DataError([Fault(name, 1, "file", f"a number cannot be read ({error})")]) from error
    if repeated:
        # json would take the last one in silence.
        line = 1 + text.count("\n", 0, text.rfind(json.dumps(repeated[0])))
        raise DataError([Fault(name, line, repeated[0], "the key stands twice in one object; keep one")])
    if not isinstance(document, dict):
        raise DataError([Fault(name, 1, "file", 'expected an object with "config" and "examples"')])
    places = _Places(text)
    fields = cast(dict[str, Any], document)
    faults = [
        Fault(name, places.of_key(key), key, f"unknown key{_nearest(key, ('config', 'examples'))}")
        for key in fields
        if key not in ("config", "examples")
    ]
    examples = _read_examples(name, fields.get("examples"), places, faults)
    config = _read_config(name, fields.get("config", {}), places, len(examples), faults)
    if faults or config is None:
        raise DataError(sorted(faults, key=lambda fault: fault.line))
    return Experiment(path, config, tuple(examples), hashlib.sha256(content).hexdigest())


def _read_examples(name: str, found: object, places: _Places, faults: list[Fault]) -> list[Example]:
    where = places.of_key("examples")
    if not isinstance(found, list):
        faults.append(Fault(name, where, "examples", f"expected a list of examples, found {_kind(found)}"))
        return []
    entries = cast(list[object], found)
    if not entries:
        faults.append(Fault(name, where, "examples", "expected at least one example, found none"))
    examples: list[Example] = []
    for number, (entry, line) in enumerate(zip(entries, places.of_examples(), strict=True), start=1):
        field = f"example {number}"
        if not isinstance(entry, dict):
            faults.append(Fault(name, line, field, f'expected {{"input", "output"}}, found {_kind(entry)}'))
            examples.append(Example("", "", line))
            continue
        values = cast(dict[str, object], entry)
        for key in values:
            if key not in ("input", "output"):
                problem = f"unknown key{_nearest(key, ('input', 'output'))}"
                faults.append(Fault(name, line, f"{field}, {key}", problem))
        texts: dict[str, str] = {}
        for key in ("input", "output"):
            value = values.get(key)
            if key not in values:
                faults.append(Fault(name, line, f"{field}, {key}", "expected text, found no such field"))
            elif not isinstance(value, str):
                faults.append(Fault(name, line, f"{field}, {key}", f"expected text, found {_kind(value)}"))
            elif not value.strip():
                faults.append(Fault(name, line, f"{field}, {key}", "expected text, found an empty string"))
            elif not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
                problem = "expected text, found half of a surrogate pair; write the character itself"
                faults.append(Fault(name, line, f"{field}, {key}", problem))
            elif key == "output" and BLANK_LINE in value.strip():
                problem = "expected no blank line, because it marks the end of an output"
                faults.append(Fault(name, line, f"{field}, {key}", problem))
            else:
                texts[key] = value.strip()
        # A wrong example still counts, so that the numbers of test_examples keep their meaning.
        examples.append(Example(texts.get("input", ""), texts.get("output", ""), line))
    return examples


def _read_config(
    name: str, found: object, places: _Places, num_examples: int, faults: list[Fault]
) -> ExperimentConfig | None:
    if not isinstance(found, dict):
        faults.append(
            Fault(name, places.of_key("config"), "config", f"expected an object, found {_kind(found)}")
        )
        return None
    try:
        config = ExperimentConfig.model_validate(found)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            message = problem["msg"].lower()
            if problem["type"] == "extra_forbidden":
                message = f"unknown key{_nearest(key, tuple(ExperimentConfig.model_fields))}"
            faults.append(Fault(name, places.of_key("config", key), f"config, {key}", message))
        return None
    for number in config.test_examples:
        if not 1 <= number <= num_examples:
            problem = f"expected numbers from 1 to {num_examples}, found {number}"
            line = places.of_key("config", "test_examples")
            faults.append(Fault(name, line, "config, test_examples", problem))
    return config


def _kind(value: object) -> str:
    names: Mapping[type, str] = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    if value is None:
        return "nothing"
    return names.get(type(value), "a number")


def _nearest(key: str, valid: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of: {', '.join(valid)}"


class _Places:
    """Line numbers inside a valid JSON object, found by walking it with the standard decoder."""

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

    def of_examples(self) -> Iterator[int]:
        """The line on which each element of the "examples" list begins."""
        for key, _, value_start in self._members(self._skip(0)):
            if key == "examples":
                position = self._skip(value_start + 1)
                while self._text[position] != "]":
                    yield self._line(position)
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
