"""The experiment's file: its settings and examples, checked as a whole before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from symptoms.data.example import Example
from symptoms.data.files.fields import FieldReader
from symptoms.data.files.records import Record
from symptoms.data.labels import Label, find_label, labels_beside, labels_of_the_data
from symptoms.data.reading import Places, kind_of, nearest, parse_json, read_text
from symptoms.data.written_assessment import CONCERN, parse_assessment
from symptoms.errors import AssessmentFormatError, DataError, Fault
from symptoms.settings import ORIGINAL, TrainingSettings

BLANK_LINE = "\n\n"


class _Beside(BaseModel):
    """What "config" may hold beside settings of a training. `test_examples` counts them from 1."""

    model_config = ConfigDict(frozen=True, strict=True)

    loss_fn: Literal["cross_entropy"] = "cross_entropy"
    test_examples: list[int] = []


@dataclass(frozen=True)
class Experiment:
    """What an experiment's file has beside its examples.

    `settings` are those of its training, in the order of the file. `test_cases` are the examples whose
    output is shown after training: those that the file names, or three spread evenly.
    """

    settings: TrainingSettings
    test_cases: tuple[Example, ...]
    loss_fn: Literal["cross_entropy"] = "cross_entropy"


@dataclass(frozen=True)
class ExperimentFile:
    """A checked file. `digest` is the SHA-256 of its bytes.

    Its examples have the `output` that the file gives them, and where that is an assessment its parts, too.
    `labels` are those that the outputs name, with the others of their taxonomy.
    """

    examples: tuple[Example, ...]
    labels: tuple[Label, ...]
    digest: str
    experiment: Experiment


def read_experiment(path: Path) -> ExperimentFile:
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
    examples = _read_examples(path, fields.get("examples"), places, faults)
    config = fields.get("config", {})
    settings, beside = _read_config(name, config, places, faults)
    numbers = beside.test_examples if beside else []
    for number in numbers:
        if not 1 <= number <= len(examples):
            problem = f"expected numbers from 1 to {len(examples)}, found {number}"
            line = places.of_key("config", "test_examples")
            faults.append(Fault(name, line, "config, test_examples", problem))
    if faults or settings is None or beside is None:
        raise DataError(sorted(faults, key=lambda fault: fault.line))
    labels = _labels(path, [concern for one in examples if (concern := _concern(one.output or ""))])
    examples = [_with_its_parts(example, labels) for example in examples]
    count = min(3, len(examples))
    numbers = numbers or [1 + index * len(examples) // count for index in range(count)]
    experiment = Experiment(settings, tuple(examples[number - 1] for number in numbers), beside.loss_fn)
    return ExperimentFile(tuple(examples), labels, hashlib.sha256(content).hexdigest(), experiment)


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
    name: str, found: object, places: Places, faults: list[Fault]
) -> tuple[TrainingSettings | None, _Beside | None]:
    """The settings of the file's training, and what it says beside them; None for what is at fault."""
    if not isinstance(found, dict):
        problem = f"expected an object, found {kind_of(found)}"
        faults.append(Fault(name, places.of_key("config"), "config", problem))
        return None, None
    told = cast(dict[str, Any], found)

    def fault(key: str, problem: str) -> None:
        faults.append(Fault(name, places.of_key("config", key), f"config, {key}", problem))

    known = (*ORIGINAL, *_Beside.model_fields)
    for key in [key for key in told if key not in known]:
        fault(key, f"unknown key{nearest(key, known)}")
    own = {key: told.get(key, value) for key, value in ORIGINAL.items()}
    settings = beside = None
    try:
        # The original went through its examples in the file's order.
        settings = TrainingSettings.model_validate({**own, "data": name, "shuffle": False})
    except ValidationError as error:
        for problem in error.errors():
            fault(str(problem["loc"][0]), problem["msg"].lower())
    try:
        beside = _Beside.model_validate(told)
    except ValidationError as error:
        for problem in error.errors():
            fault(str(problem["loc"][0]), problem["msg"].lower())
    return settings, beside
