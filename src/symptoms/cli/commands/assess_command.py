"""`symptoms assess`: one description, or a file of them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from symptoms.cli.options import BaseModelOption, ServiceOption, TextColumnOption
from symptoms.errors import InputError


def assess(
    description: Annotated[
        str | None, typer.Argument(help="The description; read from standard input without it.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="A run by name or folder, a tinker:// path, or 'shipped'. By default the newest finished "
            "run on 100 examples or more that was evaluated, else the classifier that ships."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Many descriptions: any data file with 'input', or .txt with one a line, read row by row. "
            "The result is JSON lines."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the results of --file go; the same command goes on where it stopped."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="The share of the rows to do, such as 1/4, where several commands do one file."),
    ] = None,
    text_column: TextColumnOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
    country: Annotated[
        str | None,
        typer.Option(help="Country code for helplines, such as GB; by default that of the locale."),
    ] = None,
    show_anyway: Annotated[
        bool,
        typer.Option(
            "--show-anyway",
            help="With a notice of danger or of a language that is not read, show below it what the model "
            "says, too. It is kept back by default.",
        ),
    ] = False,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
) -> None:
    """Say which condition a description resembles. Educational, not a diagnosis.

    A description that may speak of danger now gets a notice with helplines first, whatever the model does.
    """
    from symptoms.safety import check_country

    check_country(country)
    if file is not None:
        if description is not None:
            raise InputError("A description and --file are given; give one of them.")
        _assess_file(file, out, shard, text_column, run, service, base_model, country)
    elif out is not None:
        raise InputError("--out is for the results of --file; without that, use --json and a pipe.")
    elif shard is not None:
        raise InputError("--shard is a share of the rows of --file; give that, too.")
    else:
        text = _read_stdin() if description is None else description
        _assess_one(text, run, service, base_model, country, as_json, show_anyway)


def _assess_file(
    file: Path,
    out: Path | None,
    shard: str | None,
    text_column: str | None,
    run: str | None,
    service: str | None,
    base_model: str | None,
    country: str | None,
) -> None:
    from rich.console import Console

    from symptoms.classifier import Classifier
    from symptoms.cli.batch import assess_file
    from symptoms.cli.batch_results import WHOLE, Shard
    from symptoms.data import Descriptions
    from symptoms.data.files.records import AS_OURS

    share = WHOLE if shard is None else Shard.told(shard)
    descriptions = Descriptions(file, text_column or AS_OURS.text)

    def load(begun_by: str | None) -> Classifier:
        with Console(stderr=True).status("loading the model"):
            # Another run may have become the newest since.
            return Classifier.load(run or begun_by, service, base_model, country)

    assess_file(load, descriptions, out, share)


def _assess_one(
    text: str,
    run: str | None,
    service: str | None,
    base_model: str | None,
    country: str | None,
    as_json: bool,
    show_anyway: bool,
) -> None:
    from rich.console import Console

    from symptoms.classifier import (
        Classifier,
        check_description,
        language_notice_of,
        notice_of,
        notices_without_model,
    )
    from symptoms.cli.assessment_card import print_assessment, print_kept_back, print_notice
    from symptoms.safety import screen

    check_description(text)
    console = Console()
    # What is certain before the model is asked; if it cannot be, the two layers without it say all they see.
    screening = screen(text, beside_model=True)
    notice, without_model = notice_of(screening, country), notice_of(screen(text), country)
    unread = language_notice_of(screening, country)
    if not as_json:
        # Before the model loads: help should not wait for it, nor depend on it.
        for shown in (notice, unread):
            if shown is not None:
                print_notice(console, shown)
    try:
        with (
            Console(stderr=True).status("reading the description"),
            Classifier.load(run, service, base_model, country) as classifier,
        ):
            result = classifier.assess(text)
    except Exception as error:
        if as_json:
            lost = notices_without_model(text, error, country)
            if lost is not None:
                _print_json(lost.to_json())
        elif without_model is not None and without_model != notice:
            print_notice(console, without_model)
        raise
    if as_json:
        _print_json(result.to_json())
        return
    if result.crisis_notice is not None and result.crisis_notice != notice:
        # The model's own answer has raised it, or nobody was asked whose answer it could have waited for.
        print_notice(console, result.crisis_notice)
    if result.language_notice is not None and result.language_notice != unread:
        # Which languages it has learnt from is known with the model.
        print_notice(console, result.language_notice)
    if (result.crisis or result.unread) and not show_anyway:
        print_kept_back(console)
    else:
        print_assessment(console, result)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))


def _read_stdin() -> str:
    if sys.stdin.isatty():
        typer.echo("Describe what is going on, then press Ctrl-D on a line of its own:", err=True)
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("The description on standard input is not UTF-8 text; convert it first.") from error
