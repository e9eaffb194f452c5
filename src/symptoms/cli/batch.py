"""Many descriptions to JSON lines, in their order; what is there already is not done again."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from symptoms.classifier import Assessment, Classifier
from symptoms.data.descriptions import Description
from symptoms.errors import InputError
from symptoms.words import counted


@dataclass(frozen=True)
class Finished:
    """What a file of results has already: whole lines of so many bytes, and the checkpoint they are by."""

    count: int = 0
    size: int = 0
    checkpoint: str | None = None
    told: Mapping[str, int] = field(default_factory=dict[str, int])


def read_finished(out: Path, descriptions: Sequence[Description]) -> Finished:
    """What is there of these descriptions' results; half a line at the end, of a killed process, is not.

    Raises InputError where the file has something else, or cannot be read.
    """
    told: Counter[str] = Counter()
    count = size = 0
    checkpoint: str | None = None
    try:
        written = out.read_bytes() if out.exists() else b""
    except OSError as error:
        raise InputError(f"{out} cannot be read ({error.strerror}); choose another --out.") from error
    for raw in written.split(b"\n")[:-1]:
        try:
            line: Any = json.loads(raw)
            text, checkpoint = line["input"], str(line["checkpoint"])
            _count(line, told)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{out}:{count + 1}: this is no result of 'symptoms assess'; choose another --out."
            ) from error
        if count == len(descriptions) or text != descriptions[count].text:
            raise InputError(
                f"{out}:{count + 1}: this is not the result of description {count + 1}; "
                "choose another --out, or remove it."
            )
        count += 1
        size += len(raw) + 1
    return Finished(count, size, checkpoint, told)


def assess_file(
    classifier: Classifier, descriptions: Sequence[Description], out: Path | None, finished: Finished
) -> None:
    """Write a line for each description that is not finished to `out`, or to standard output.

    Raises InputError where the finished ones are by another checkpoint, and at the end where descriptions
    could not be read.
    """
    if finished.checkpoint not in (None, classifier.checkpoint):
        raise InputError(
            f"{out} was begun with {finished.checkpoint}; go on with that by leaving --run out, "
            "or choose another --out."
        )
    told = Counter(finished.told)
    left = descriptions[finished.count :]
    with ExitStack() as held:
        file: BinaryIO = sys.stdout.buffer if out is None else held.enter_context(_open(out, finished.size))
        progress = held.enter_context(_progress())
        task = progress.add_task("descriptions", total=len(descriptions), completed=finished.count)
        outcomes = classifier.outcomes(description.text for description in left)
        try:
            for number, (description, outcome) in enumerate(
                zip(left, outcomes, strict=True), finished.count + 1
            ):
                line = _line(number, description, classifier.checkpoint, outcome)
                file.write(_encoded(line))
                file.flush()
                _count(line, told)
                progress.advance(task)
        except KeyboardInterrupt:
            goes_on = "; the same command goes on from there" if out else ""
            typer.echo(f"Stopped after {_total(told)} of {len(descriptions)}{goes_on}.", err=True)
            raise
    _conclude(told, out)


def _conclude(told: Counter[str], out: Path | None) -> None:
    typer.echo(
        f"{counted(_total(told), 'description')}: {told['answered']} with a condition, "
        f"{told['abstained']} without a clear one, {told['unreadable']} that could not be read.",
        err=True,
    )
    if told["crisis"]:
        typer.echo(
            f"{told['crisis']} of them may speak of danger now; their lines have a crisis_notice.", err=True
        )
    if told["unreadable"]:
        where = f" in {out}" if out else ""
        raise InputError(
            f"{counted(told['unreadable'], 'description')} could not be read; 'error'{where} says why."
        )


def _line(
    number: int, description: Description, checkpoint: str, outcome: Assessment | InputError
) -> dict[str, Any]:
    known: dict[str, Any] = {"number": number, "line": description.line}
    if description.id is not None:
        known["id"] = description.id
    known |= {"input": description.text, "checkpoint": checkpoint}
    if isinstance(outcome, InputError):
        return {**known, "error": str(outcome)}
    return {**known, **outcome.to_json()}


def _count(line: dict[str, Any], told: Counter[str]) -> None:
    if "error" in line:
        told["unreadable"] += 1
        return
    told["abstained" if line["abstained"] else "answered"] += 1
    told.update(crisis=line["crisis"])


def _total(told: Counter[str]) -> int:
    return told["answered"] + told["abstained"] + told["unreadable"]


def _encoded(line: dict[str, Any]) -> bytes:
    # Half of a surrogate pair becomes the escape that JSON has for it.
    return (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _open(out: Path, size: int) -> BinaryIO:
    """The file of results, cut to this many bytes, to be written on from there."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = open(out, "r+b" if out.exists() else "w+b")  # noqa: SIM115 - its caller closes it
        file.truncate(size)
        file.seek(size)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error
    return file


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
