"""How a run ends: summary, figure, report, and what is printed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from symptoms.config import DISCLAIMER, ExperimentConfig, TrainingConfig
from symptoms.service import Service
from symptoms.train.figure import draw_loss
from symptoms.train.report import best_in_words, write_report
from symptoms.train.run_directory import RunDirectory, TestCase

AIM = 0.25


def conclude(
    run: RunDirectory,
    config: ExperimentConfig | TrainingConfig,
    service: Service,
    checkpoint: str,
    tests: Sequence[TestCase],
    console: Console,
) -> None:
    """Write summary.json, loss.png and report.html, and print the result as it is.

    With test cases, the experiment's, it is held against what the original reached.
    """
    _tell(run, write_conclusion(run, config, service, checkpoint, tests), tests, console)


def write_conclusion(
    run: RunDirectory,
    config: ExperimentConfig | TrainingConfig,
    service: Service,
    checkpoint: str,
    tests: Sequence[TestCase],
) -> dict[str, Any]:
    """Write loss.png, report.html and at last summary.json, by which a run is known to be finished."""
    summary = run.summarise(config, service, checkpoint, tests)
    figure = run.path / "loss.png"
    title = f"{config.base_model}, {summary['num_steps']} steps"
    draw_loss(run.metrics(), run.evaluations(), title, figure, aim=AIM if tests else None)
    write_report(run.path / "report.html", run.name, summary, figure, DISCLAIMER)
    run.write_summary(summary)
    return summary


def _tell(run: RunDirectory, summary: Mapping[str, Any], tests: Sequence[TestCase], console: Console) -> None:
    checkpoint = summary["checkpoint"]

    def say(text: str = "", style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

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
    say(f"initial loss   {initial:.3f}  ({summary['initial_loss_is']})")
    say(f"final loss     {final:.3f}  ({summary['final_loss_is']})")
    say(f"reduction      {summary['reduction']:.1%}")
    if "best_dev_loss" in summary:
        say(f"dev loss       {best_in_words(summary)}")
    if tests:
        say(f"test cases     {matches} of {len(tests)} exact matches, on descriptions it was trained on")
    say(f"training time  {summary['train_seconds']:.0f} s for {summary['num_steps']} steps")
    if tests and (not final <= AIM or matches < len(tests)):
        say(
            f"This falls short of the original, which ended at {AIM} with every test case matched.",
            style="yellow",
        )
    say()
    say(f"run directory  {run.path}  (loss.png, report.html)")
    say(f"checkpoint     {checkpoint}")
    say(f'use it         {_command()} assess --run {run.name} "I have not slept properly for weeks"')
    say()
    say(DISCLAIMER)


def _command() -> str:
    """How the `symptoms` command is called from here: by name where it is found, else by its path."""
    if shutil.which("symptoms"):
        return "symptoms"
    command = Path(sys.executable).parent / "symptoms"
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)
