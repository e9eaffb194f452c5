"""The experiment's file: its settings and examples, checked as a whole before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from symptoms.data.example import Example
from symptoms.data.labels import Label, find_label, labels_beside, labels_of_the_data
from symptoms.data.reading import Places, kind_of, nearest, parse_json, read_text
from symptoms.data.written_assessment import CONCERN, parse_assessment
from symptoms.errors import AssessmentFormatError, DataError, Fault
from symptoms.settings import ExperimentSettings

BLANK_LINE = "\n\n"


@dataclass(frozen=True)
class Experiment:
    """A checked data file. `digest` is the SHA-256 of its bytes.

    Its examples have the `output` that the file gives them, and where that is an assessment its parts, too.
    `labels` are those that the outputs name, with the others of their taxonomy.
    """

    path: Path
    settings: ExperimentSettings
    examples: tuple[Example, ...]
    labels: tuple[Label, ...]
    digest: str

    @property
    def test_cases(self) -> tuple[Example, ...]:
        """The examples that the settings name, or three spread evenly."""
        chosen = self.settings.test_examples
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
    settings = _read_settings(name, fields.get("config", {}), places, len(examples), faults)
    if faults or settings is None:
        raise DataError(sorted(faults, key=lambda fault: fault.line))
    labels = _labels(path, [concern for one in examples if (concern := _concern(one.output or ""))])
    return Experiment(
        path,
        settings,
        tuple(_with_its_parts(example, labels) for example in examples),
        labels,
        hashlib.sha256(content).hexdigest(),
    )


def _labels(path: Path, concerns: Sequence[str]) -> tuple[Label, ...]:
    """The labels that a model trained on outputs which name these concerns chooses from; () without any.

    That is a `taxonomy.json` beside the file, or the bundled one where at least half of the distinct
    concerns are from it. Concerns that are not from it are labels, too.
    """
    named = tuple(dict.fromkeys(concerns))
    if not named:
        return ()
    labels = labels_beside(path) or labels_of_the_data(named)
    return (*labels, *(Label(name, name) for name in named if find_label(name, labels) is None))


def _concern(output: str) -> str:
    """What the first line of an output names; empty for an output of another form."""
    first = output.partition("\n")[0]
    return first.removeprefix(CONCERN).strip() if first.startswith(CONCERN) else ""


def _with_its_parts(example: Example, labels: Sequence[Label]) -> Example:
    """The example with what its output says, as far as that is an assessment; any other text will do, too."""
    output = example.output or ""
    labelled = replace(example, label=find_label(_concern(output), labels))
    try:
        written = parse_assessment(output)
    except AssessmentFormatError:
        return labelled
    return replace(labelled, symptoms=written.symptoms, recommendation=written.recommendation)


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
            examples.append(Example("", id=str(number), line=line, output=""))
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
        output = texts.get("output", "")
        examples.append(Example(texts.get("input", ""), id=str(number), line=line, output=output))
    return examples


def _read_settings(
    name: str, found: object, places: Places, num_examples: int, faults: list[Fault]
) -> ExperimentSettings | None:
    if not isinstance(found, dict):
        faults.append(
            Fault(name, places.of_key("config"), "config", f"expected an object, found {kind_of(found)}")
        )
        return None
    try:
        settings = ExperimentSettings.model_validate(found)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            message = problem["msg"].lower()
            if problem["type"] == "extra_forbidden":
                message = f"unknown key{nearest(key, tuple(ExperimentSettings.model_fields))}"
            faults.append(Fault(name, places.of_key("config", key), f"config, {key}", message))
        return None
    for number in settings.test_examples:
        if not 1 <= number <= num_examples:
            problem = f"expected numbers from 1 to {num_examples}, found {number}"
            line = places.of_key("config", "test_examples")
            faults.append(Fault(name, line, "config, test_examples", problem))
    return settings
