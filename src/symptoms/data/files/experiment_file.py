"""The experiment's file: its settings and examples, checked as a whole before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, ValidationError

from symptoms.data.example import Dataset, Example, Experiment
from symptoms.data.files.fields import FieldReader
from symptoms.data.files.records import Record
from symptoms.data.labels import Label, find_label, labels_beside, labels_of_the_data
from symptoms.data.written_assessment import CONCERN, parse_assessment
from symptoms.errors import AssessmentFormatError, DataError, Fault
from symptoms.settings import ORIGINAL, TrainingSettings
from symptoms.text_files import Places, kind_of, nearest, parse_json, read_text

BLANK_LINE = "\n\n"


class _Config(TrainingSettings):
    """What "config" is read as: settings, and `test_examples`, which counts them from 1."""

    loss_fn: Literal["cross_entropy"] = "cross_entropy"
    test_examples: list[int] = Field(default=[])


OF_THE_FILE = ("loss_fn", "test_examples")
"""Its keys that are no settings of a training."""


def load_experiment(path: Path) -> tuple[Dataset, Experiment]:
    """Read and check a file; raises DataError with every fault in it, each with line and field.

    Its examples have the `output` that the file gives them, and where that is an assessment its parts, too.
    The labels are those that the outputs name, with the others of their taxonomy.
    """
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
    examples = _read_examples(path, fields.get("examples"), places, faults)
    config = _read_config(name, fields.get("config", {}), places, len(examples), faults)
    if faults or config is None:
        raise DataError(sorted(faults, key=lambda fault: fault.line))
    labels = _labels(path, [concern for one in examples if (concern := _concern(one.output or ""))])
    examples = tuple(_with_its_parts(example, labels) for example in examples)
    count = min(3, len(examples))
    chosen = config.test_examples or [1 + index * len(examples) // count for index in range(count)]
    settings = TrainingSettings.of(config.model_dump(include=config.model_fields_set.difference(OF_THE_FILE)))
    experiment = Experiment(settings, tuple(examples[number - 1] for number in chosen), config.loss_fn)
    digest = hashlib.sha256(content).hexdigest()
    return Dataset(path, examples, labels, digest, experiment=experiment), experiment


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


def _read_examples(path: Path, found: object, places: Places, faults: list[Fault]) -> list[Example]:
    name, where = str(path), places.of_key("examples")
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
        # A wrong example still counts, so that the numbers of test_examples keep their meaning.
        texts = {"input": "", "output": ""}
        if isinstance(entry, dict):
            values = cast(dict[str, object], entry)
            for key in [key for key in values if key not in texts]:
                problem = f"unknown key{nearest(key, tuple(texts))}"
                faults.append(Fault(name, line, f"{field}, {key}", problem))
            reader = FieldReader(name, faults, {key: f"{field}, {key}" for key in texts})
            texts = {key: reader.of(Record(line, values)).text(key) for key in texts}
        else:
            faults.append(Fault(name, line, field, f'expected {{"input", "output"}}, found {kind_of(entry)}'))
        if BLANK_LINE in texts["output"]:
            problem = "expected no blank line, because it marks the end of an output"
            faults.append(Fault(name, line, f"{field}, output", problem))
        examples.append(
            Example(texts["input"], id=f"{path.stem}:{number}", line=line, output=texts["output"])
        )
    return examples


def _read_config(
    name: str, found: object, places: Places, num_examples: int, faults: list[Fault]
) -> _Config | None:
    if not isinstance(found, dict):
        problem = f"expected an object, found {kind_of(found)}"
        faults.append(Fault(name, places.of_key("config"), "config", problem))
        return None

    def fault(key: str, problem: str) -> None:
        faults.append(Fault(name, places.of_key("config", key), f"config, {key}", problem))

    told, known = cast(dict[str, Any], found), (*ORIGINAL, *OF_THE_FILE)
    for key in [key for key in told if key not in known]:
        fault(key, f"unknown key{nearest(key, known)}")
    of_ours = {key: value for key, value in told.items() if key in known}
    # The original went through its examples in the file's order.
    config = {**ORIGINAL, **of_ours, "data": name, "shuffle": False}
    try:
        read = _Config.model_validate(config)
    except ValidationError as error:
        for problem in error.errors():
            fault(str(problem["loc"][0]), problem["msg"].lower())
        return None
    for number in read.test_examples:
        if not 1 <= number <= num_examples:
            fault("test_examples", f"expected numbers from 1 to {num_examples}, found {number}")
    return read
