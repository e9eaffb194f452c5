"""The commands; each module of them is imported when its command is asked for."""

from typing import Annotated

import typer

from symptoms import __version__
from symptoms.cli.on_demand import on_demand, packaged_commands
from symptoms.cli.outcome import exit_with_a_sentence
from symptoms.disclaimer import DISCLAIMER

COMMANDS = packaged_commands()

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
