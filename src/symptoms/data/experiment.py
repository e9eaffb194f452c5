"""The experiment's file: a configuration and examples, checked as a whole before anything is trained."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from symptoms.config import ExperimentConfig
from symptoms.data.labels import Label
from symptoms.data.reading import Places, kind_of, nearest, parse_json, read_text
from symptoms.data.vocabulary import labels_of_outputs
from symptoms.errors import DataError, Fault

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
    def labels(self) -> tuple[Label, ...]:
        """The labels that the outputs name, with the others of their taxonomy."""
        return labels_of_outputs(self.path, (example.output for example in self.examples))

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
    text, content = read_text(path)
    document = parse_json(name, text)
    if not isinstance(document, dict):
        raise DataError([Fault(name, 1, "file", 'expected an object with "config" and "examples"')])
    places = Places(text)
    fields = cast(dict[str, Any], document)
    faults = [
        Fault(name, places.of_key(key), key, f"unknown key{nearest(key, ('config', 'examples'))}")
        for key in fields
        if key not in ("config", "examples")
    ]
    examples = _read_examples(name, fields.get("examples"), places, faults)
    config = _read_config(name, fields.get("config", {}), places, len(examples), faults)
    if faults or config is None:
        raise DataError(sorted(faults, key=lambda fault: fault.line))
    return Experiment(path, config, tuple(examples), hashlib.sha256(content).hexdigest())


def _read_examples(name: str, found: object, places: Places, faults: list[Fault]) -> list[Example]:
    where = places.of_key("examples")
    if not isinstance(found, list):
        faults.append(Fault(name, where, "examples", f"expected a list of examples, found {kind_of(found)}"))
        return []
    entries = cast(list[object], found)
    if not entries:
        faults.append(Fault(name, where, "examples", "expected at least one example, found none"))
    examples: list[Example] = []
    lines = places.of_elements("examples")
    for number, (entry, line) in enumerate(zip(entries, lines, strict=True), start=1):
        field = f"example {number}"
        if not isinstance(entry, dict):
            faults.append(Fault(name, line, field, f'expected {{"input", "output"}}, found {kind_of(entry)}'))
            examples.append(Example("", "", line))
            continue
        values = cast(dict[str, object], entry)
        for key in values:
            if key not in ("input", "output"):
                problem = f"unknown key{nearest(key, ('input', 'output'))}"
                faults.append(Fault(name, line, f"{field}, {key}", problem))
        texts: dict[str, str] = {}
        for key in ("input", "output"):
            value = values.get(key)
            if key not in values:
                faults.append(Fault(name, line, f"{field}, {key}", "expected text, found no such field"))
            elif not isinstance(value, str):
                faults.append(Fault(name, line, f"{field}, {key}", f"expected text, found {kind_of(value)}"))
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
    name: str, found: object, places: Places, num_examples: int, faults: list[Fault]
) -> ExperimentConfig | None:
    if not isinstance(found, dict):
        faults.append(
            Fault(name, places.of_key("config"), "config", f"expected an object, found {kind_of(found)}")
        )
        return None
    try:
        config = ExperimentConfig.model_validate(found)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            message = problem["msg"].lower()
            if problem["type"] == "extra_forbidden":
                message = f"unknown key{nearest(key, tuple(ExperimentConfig.model_fields))}"
            faults.append(Fault(name, places.of_key("config", key), f"config, {key}", message))
        return None
    for number in config.test_examples:
        if not 1 <= number <= num_examples:
            problem = f"expected numbers from 1 to {num_examples}, found {number}"
            line = places.of_key("config", "test_examples")
            faults.append(Fault(name, line, "config, test_examples", problem))
    return config
