"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from symptoms import __version__
from symptoms.cli.checks.conformance_command import conformance
from symptoms.cli.checks.doctor_command import doctor
from symptoms.cli.checks.safety_command import safety_app
from symptoms.cli.commands.assess_command import assess
from symptoms.cli.commands.compare_commands import compare
from symptoms.cli.commands.data_commands import data_app
from symptoms.cli.commands.evaluate_commands import evaluate, results
from symptoms.cli.commands.models_commands import models_app
from symptoms.cli.commands.runs_commands import runs_app
from symptoms.cli.commands.serve_command import serve
from symptoms.cli.commands.settings_commands import settings_app
from symptoms.cli.commands.sweep_commands import sweep
from symptoms.cli.commands.train_commands import train
from symptoms.cli.exchange_commands import export
from symptoms.cli.options import BaseModelOption, LabelColumnOption, ServiceOption, TextColumnOption
from symptoms.cli.outcome import exit_with_a_sentence
from symptoms.cli.token_view import examples_to_show, print_examples
from symptoms.data.files.records import columns_called
from symptoms.disclaimer import DISCLAIMER
from symptoms.errors import InputError
from symptoms.words import counted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=f"Fine-tune a small language model on symptom descriptions. {DISCLAIMER}",
)

app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")
app.add_typer(models_app, name="models")
app.add_typer(safety_app, name="safety")
app.add_typer(settings_app, name="settings")
app.command()(assess)
app.command()(train)
app.command()(sweep)
app.command()(compare)
app.command()(evaluate)
app.command()(results)
app.command()(serve)
app.command()(export)
app.command()(conformance)
app.command()(doctor)


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


@app.command()
def tokens(
    file: Annotated[Path, typer.Argument(help="Any data file, such as mental_health_data.json.")],
    example: Annotated[
        int | None, typer.Option(min=1, help="Show only this example, counted from 1.")
    ] = None,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
) -> None:
    """Show examples with each token coloured by its weight, and count what is trained."""
    shown = examples_to_show(file, columns_called(text_column, label_column))
    if example is not None and example > len(shown.examples):
        count = counted(len(shown.examples), "example")
        raise InputError(f"{file} has {count}; choose --example from those.")
    from symptoms.service import connect

    console = Console()
    with (
        console.status("loading the tokenizer"),
        connect(service, base_model, preferred=shown.base_model) as connected,
    ):
        tokenizer, context = connected.tokenizer(), connected.context_length
    print_examples(console, shown, example, tokenizer, context)
