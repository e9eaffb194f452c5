"""`symptoms tokens`: what is trained of each example."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from symptoms.cli.options import BaseModelOption, LabelColumnOption, ServiceOption, TextColumnOption
from symptoms.cli.token_view import examples_to_show, print_examples
from symptoms.data.files.records import columns_called
from symptoms.errors import InputError
from symptoms.words import counted


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
