"""The commands; each module of them is imported when its command is asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from symptoms import __version__
from symptoms.cli.on_demand import Entry, on_demand
from symptoms.cli.outcome import exit_with_a_sentence
from symptoms.disclaimer import DISCLAIMER

COMMANDS = (
    Entry(
        "assess",
        "commands.assess_command",
        "assess",
        "Say which condition a description resembles. Educational, not a diagnosis.",
    ),
    Entry(
        "train",
        "commands.train_commands",
        "train",
        "Fine-tune on data of your own; every run can be resumed and repeated.",
    ),
    Entry(
        "sweep",
        "commands.sweep_commands",
        "sweep",
        "Train the same with different settings and seeds; what is finished is not done again.",
    ),
    Entry(
        "compare",
        "commands.compare_commands",
        "compare",
        "Show what differs between runs, what came of them, and whether it may be chance.",
    ),
    Entry(
        "evaluate",
        "commands.evaluate_commands",
        "evaluate",
        "Measure a run on held-out examples, next to baselines, with intervals.",
    ),
    Entry(
        "results",
        "commands.evaluate_commands",
        "results",
        "Put results side by side as one table: models over their seeds, and baselines.",
    ),
    Entry(
        "serve",
        "commands.serve_command",
        "serve",
        "Show a page that assesses descriptions and follows trainings, with an API beside it.",
    ),
    Entry(
        "export",
        "commands.exchange_commands",
        "export",
        "Write a run's weights for other programs, and check them there.",
    ),
    Entry(
        "conformance",
        "checks.conformance_command",
        "conformance",
        "Measure what a Tinker-compatible server does, beside what hosted Tinker documents.",
    ),
    Entry(
        "doctor",
        "checks.doctor_command",
        "doctor",
        "Check what is needed, from versions to the service, and say what to do about what is broken.",
    ),
    Entry(
        "tokens",
        "commands.tokens_command",
        "tokens",
        "Show examples with each token coloured by its weight, and count what is trained.",
    ),
    Entry("data", "commands.data_commands", "data_app", "Look at data, check it, split it."),
    Entry("runs", "commands.runs_commands", "runs_app", "List, show and remove runs."),
    Entry("models", "commands.models_commands", "models_app", "List, get and remove base models."),
    Entry("safety", "checks.safety_command", "safety_app", "Measure the crisis screen."),
    Entry("settings", "commands.exchange_commands", "settings_app", "Bring settings from another tool."),
)

app = typer.Typer(
    cls=on_demand(COMMANDS),
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=f"Fine-tune a small language model on symptom descriptions. {DISCLAIMER}",
)


def main() -> None:
    """Run the command line."""
    with exit_with_a_sentence():
        app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"symptoms {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    del version
