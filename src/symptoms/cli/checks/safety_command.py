"""`symptoms safety`: what the crisis screen finds and misses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from symptoms.cli.tables import WIDE

if TYPE_CHECKING:
    from symptoms.safety import Level
    from symptoms.safety.measuring import Measure, Share

HELD_OUT_FOLDER = Path("data") / "crisis"
SHARE_COLUMNS = ("true texts found", "called clear", "harmless: alarms", "called clear")

safety_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure the crisis screen.")


@safety_app.callback()
def _safety() -> None:
    # With a callback, a single command keeps its name.
    pass


@safety_app.command()
def report(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Labelled texts, .jsonl with 'text' (or 'input') and 'label' (or 'crisis'), and where known "
            "'kind' and 'language'. Without it, the held-out texts of data/crisis."
        ),
    ] = None,
    with_model: Annotated[
        bool,
        typer.Option(
            "--with-model", help="Ask the third layer as well, an adapter on a model on this machine."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """How many true texts the crisis screen finds, and how many harmless ones it alarms on.

    Each share has its 95% interval (Wilson). Languages and kinds are told of all layers that were asked.
    """
    from symptoms.safety.measuring import measure, read_held_out, read_labelled

    texts = read_held_out(HELD_OUT_FOLDER) if file is None else read_labelled(file)
    found = measure(texts, _asked_of_model([text.text for text in texts]) if with_model else None)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=1))
        return
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    source = "the held-out texts of data/crisis" if file is None else str(file)
    console.print(
        f"The crisis screen on {source}: {sum(text.crisis for text in texts)} true, "
        f"{sum(not text.crisis for text in texts)} harmless."
    )
    for title, measures in (
        ("By layer", found.by_layer),
        ("By language", found.by_language),
        ("By kind", found.by_kind),
    ):
        console.print(_table(title, measures))
    console.print("It misses some: docs/safety.md says how it was measured.", soft_wrap=True)


def _asked_of_model(texts: Sequence[str]) -> list[Level]:
    """What the third layer says of each text, with progress on standard error."""
    from rich.progress import Progress

    from symptoms.classifier.measuring_crisis_layer import crisis_levels

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("asking the model", total=len(texts))
        return list(progress.track(crisis_levels(texts), task_id=task, total=len(texts)))


def _table(title: str, measures: Mapping[str, Measure]) -> Table:
    table = Table(title, *SHARE_COLUMNS, box=None, padding=(0, 2, 0, 0))
    for name, one in measures.items():
        table.add_row(name, *map(_shown, (one.found, one.found_clear, one.alarms, one.alarms_clear)))
    return table


def _shown(share: Share) -> str:
    if not share.total:
        return "-"
    low, high = share.bounds
    return f"{share.count} of {share.total}, {share.value:.0%} [{low:.0%} to {high:.0%}]"
