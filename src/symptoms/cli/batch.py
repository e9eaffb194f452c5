"""Many descriptions to JSON lines, in their order; what is there already is not done again."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from symptoms.classifier import Assessment, Classifier
from symptoms.data.descriptions import Description
from symptoms.errors import InputError


def assess_file(classifier: Classifier, descriptions: Sequence[Description], out: Path | None) -> None:
    """Write one line for each description to `out`, or to standard output.

    Where `out` has lines of the same descriptions by the same checkpoint, it goes on after the last of
    them. Raises InputError where its lines are others, and at the end where descriptions could not be read.
    """
    told: Counter[str] = Counter()
    with ExitStack() as held:
        done = 0
        file: BinaryIO = sys.stdout.buffer
        if out is not None:
            file = held.enter_context(_open_to_append(out))
            done = _keep_whole_lines(file, out, descriptions, classifier.checkpoint, told)
        progress = held.enter_context(_progress())
        task = progress.add_task("descriptions", total=len(descriptions), completed=done)
        left = descriptions[done:]
        outcomes = classifier.outcomes(description.text for description in left)
        try:
            for number, (description, outcome) in enumerate(zip(left, outcomes, strict=True), done + 1):
                line = _line(number, description, classifier.checkpoint, outcome)
                _count(line, told)
                file.write(_encoded(line))
                file.flush()
                progress.advance(task)
        except KeyboardInterrupt:
            goes_on = "; the same command goes on from there" if out else ""
            typer.echo(
                f"Stopped after {told.total()} of {len(descriptions)} descriptions{goes_on}.", err=True
            )
            raise
    _conclude(told, out)


def _conclude(told: Counter[str], out: Path | None) -> None:
    typer.echo(
        f"{_total(told)} descriptions: {told['answered']} with a condition, {told['abstained']} without a "
        f"clear one, {told['unreadable']} that could not be read.",
        err=True,
    )
    if told["crisis"]:
        typer.echo(
            f"{told['crisis']} of them may speak of danger now; their lines have a crisis_notice.", err=True
        )
    if told["unreadable"]:
        where = f" in {out}" if out else ""
        raise InputError(f"{told['unreadable']} descriptions could not be read; 'error'{where} says why.")


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


def _open_to_append(out: Path) -> BinaryIO:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return open(out, "r+b" if out.exists() else "w+b")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error


def _keep_whole_lines(
    file: BinaryIO, out: Path, descriptions: Sequence[Description], checkpoint: str, told: Counter[str]
) -> int:
    """How many descriptions the file has lines of; what a killed process left of a line is removed."""
    whole = 0
    done = 0
    for raw in file:
        if not raw.endswith(b"\n"):
            break
        try:
            line: Any = json.loads(raw)
            same = done < len(descriptions) and line["input"] == descriptions[done].text
            known = line["checkpoint"]
            _count(line, told)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{out}:{done + 1}: this is no result of 'symptoms assess'; choose another --out."
            ) from error
        if not same:
            raise InputError(
                f"{out}:{done + 1}: this is not the result of description {done + 1}; "
                "choose another --out, or remove it."
            )
        if known != checkpoint:
            raise InputError(
                f"{out} was begun with {known}; give that with --run to go on, or choose another --out."
            )
        whole += len(raw)
        done += 1
    file.seek(whole)
    file.truncate()
    os.fsync(file.fileno())
    return done


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
