"""How a run ends: summary, figure, report, and what is printed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from base_models import known_models
from symptoms.disclaimer import DISCLAIMER
from symptoms.runs.directory import RunDirectory
from symptoms.runs.summary import TestCase, summarise
from symptoms.service import Service
from symptoms.settings import ORIGINAL, TrainingSettings
from symptoms.train.conclusion.loss_figure import draw_loss
from symptoms.train.conclusion.run_report import best_in_words, write_report
from symptoms.words import counted, in_words
from symptoms.words import say as say_on

ORIGINAL_INITIAL, ORIGINAL_FINAL, ORIGINAL_MATCHES = 4.0, 0.25, "3 of 3"
"""What the original experiment claims for Llama-3.2-1B: the loss at its start and end, and the test cases."""


def conclude(
    run: RunDirectory,
    settings: TrainingSettings,
    service: Service,
    checkpoint: str,
    tests: Sequence[TestCase],
    console: Console,
) -> None:
    """Write summary.json, loss.png and report.html, and print the result as it is.

    With test cases, the experiment's, it is held against what the original reached.
    """
    _tell(run, settings, write_conclusion(run, settings, service, checkpoint, tests), tests, console)


def write_conclusion(
    run: RunDirectory,
    settings: TrainingSettings,
    service: Service,
    checkpoint: str,
    tests: Sequence[TestCase],
) -> dict[str, Any]:
    """Write loss.png, report.html and at last summary.json, by which a run is known to be finished."""
    summary = summarise(run, settings, service, checkpoint, tests)
    figure = run.path / "loss.png"
    title = f"{settings.base_model}, {counted(summary['num_steps'], 'step')}"
    draw_loss(run.metrics(), run.evaluations(), title, figure, aim=ORIGINAL_FINAL if tests else None)
    write_report(run.path / "report.html", run.name, summary, figure, DISCLAIMER)
    run.write_summary(summary)
    return summary


def _tell(
    run: RunDirectory,
    settings: TrainingSettings,
    summary: Mapping[str, Any],
    tests: Sequence[TestCase],
    console: Console,
) -> None:
    say = partial(say_on, console)
    for number, test in enumerate(tests, start=1):
        verdict = "exact match" if test.match else "DIFFERENT"
        say()
        say(f"Test case {number}: {verdict}", style="bold green" if test.match else "bold red")
        say(f"  {test.input}", style="italic")
        for label, text in (("expected", test.expected), ("written", test.output)):
            say(f"  {label}:")
            say("".join(f"    {line}\n" for line in text.strip().splitlines()).rstrip("\n"))
    matches = sum(test.match for test in tests)
    initial, final = summary["initial_loss"], summary["final_loss"]
    say()
    original = [f"; the original's {loss}" if tests else "" for loss in (ORIGINAL_INITIAL, ORIGINAL_FINAL)]
    say(f"initial loss   {initial:.3f}  ({summary['initial_loss_is']}{original[0]})")
    say(f"final loss     {final:.3f}  ({summary['final_loss_is']}{original[1]})")
    say(f"reduction      {summary['reduction_is']}")
    if "best_dev_loss" in summary:
        say(f"dev loss       {best_in_words(summary)}")
    if tests:
        say(
            f"test cases     {matches} of {len(tests)} exact matches, on descriptions it was trained on; "
            f"the original's {ORIGINAL_MATCHES}"
        )
    say(f"training time  {summary['train_seconds']:.0f} s for {counted(summary['num_steps'], 'step')}")
    if summary.get("dollars") is not None:
        say(f"cost           about ${summary['dollars']:.2f}, checkpoints that are kept not counted")
    if tests:
        reached = final <= ORIGINAL_FINAL and matches == len(tests)
        say(_verdict(settings, reached), style="green" if reached else "yellow")
    say()
    say(f"run directory  {run.path}  (loss.png, report.html)")
    say(f"checkpoint     {summary['checkpoint']}")
    say(f'use it         {_command()} assess --run {run.name} "I have not slept properly for weeks"')
    say()
    say(DISCLAIMER)


def _verdict(settings: TrainingSettings, reached: bool) -> str:
    """Whether this is what the original claims; where not, the smallest change that is known to do it.

    The change is known to do it where all else is as in the original on this base model; elsewhere what
    differs is told in its place.
    """
    if reached:
        return "This reaches what the original claims."
    said = f"This falls short of the original, which ended at {ORIGINAL_FINAL} with every test case matched."
    known = known_models().get(settings.base_model)
    if known is None or not known.reaches_original:
        return said
    change = known.reaches_original
    if all(getattr(settings, name) == value for name, value in change.items()):
        return said
    original = {**ORIGINAL, **known.experiment}
    own = settings.model_dump()
    differing: dict[str, Any] = {
        name: own[name]
        for name, value in original.items()
        if name not in ("base_model", "seed", *change) and own[name] != value
    }
    if settings.steps is not None:
        differing.pop("epochs", None)
        differing |= {"steps": settings.steps}
    if differing:
        named = ("epochs" if name == "steps" else name for name in differing)
        of_original = in_words({name: original[name] for name in named})
        return f"{said}\nIt was trained with {in_words(differing)}; the original with {of_original}."
    options = " ".join(f"--set {name}={value}" for name, value in change.items())
    return (
        f"{said}\nThe smallest change that is known to reach it on {settings.base_model} is "
        f"{in_words(change)}: python train_mental_health.py {options}"
    )


def _command() -> str:
    """How the `symptoms` command is called from here: by name where it is found, else by its path."""
    if shutil.which("symptoms"):
        return "symptoms"
    command = Path(sys.executable).parent / "symptoms"
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)
