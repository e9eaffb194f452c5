"""`symptoms compare`: runs side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from symptoms.cli.tables import print_table
from symptoms.errors import RunError
from symptoms.runs import RunDirectory, find_run
from symptoms.sweep import runs_of_sweep


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Runs or sweeps by name; the first is what others are held against.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write one page with figures to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """Show what differs between runs, what came of them, and whether it may be chance."""
    directories: list[RunDirectory] = []
    for name in runs:
        of_sweep = runs_of_sweep(name)
        if of_sweep is not None and not of_sweep:
            raise RunError(f"The sweep {name} has no run yet; let it train first.")
        directories += of_sweep or [find_run(name)]
    console = Console(stderr=True)
    with console.status("comparing"):
        # Imported now, since it takes a second.
        from symptoms.report.comparing import compare as compared
        from symptoms.report.comparing import read_run
        from symptoms.report.comparison_page import as_data, write_comparison

        comparison = compared([read_run(one) for one in {run.path: run for run in directories}.values()])
        if html is not None:
            write_comparison(html, comparison)
    if as_json:
        typer.echo(json.dumps(as_data(comparison), ensure_ascii=False, indent=1))
        return
    from symptoms.report.comparison_page import HEADS, MEASURES, shown_columns, table_rows, verdicts

    rows = table_rows(comparison)
    columns = shown_columns(rows)
    table = Table(*(HEADS[place] for place in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(row[place] for place in columns))
    print_table(table)
    texts = [MEASURES, *verdicts(comparison), *comparison.notes]
    if comparison.differing:
        texts.append(f"Settings that differ: {', '.join(comparison.differing)}.")
    if html is not None:
        texts.append(f"Figures: {html}")
    typer.echo("\n" + "\n".join(texts))
