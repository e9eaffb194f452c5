"""`symptoms conformance`: what a Tinker-compatible server does, row by row."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from symptoms.cli.options import BaseModelOption
from symptoms.conformance import ALL_CHECKS, Row, measured_rows, report_on, with_reference
from symptoms.errors import InputError
from symptoms.service import connect
from symptoms.words import counted, say

STYLES = {"as documented": "green", "differs": "bold red", "refused": "red", "not measured": "dim"}


def conformance(
    url: Annotated[str, typer.Argument(help="The server's address; 'local' measures our own.")],
    base_model: BaseModelOption = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="The same base model on this machine, by name or path, where the server calls it otherwise: "
            "our own engine is what log-probabilities and alpha are then compared with."
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the table to this file, too.", dir_okay=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the server in the file, such as its version.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this check alone, by its name; may be given again.")
    ] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds that the server has for each answer.")] = 60,
) -> None:
    """Measure what a Tinker-compatible server does, beside what hosted Tinker documents.

    Some fifty small adapters are trained on made-up tokens: on hosted Tinker that costs money.
    """
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise InputError(f"There is no folder {json_file.parent} for --json; make it, or name another.")
    unknown = sorted(set(only or ()) - {check.name for check in ALL_CHECKS})
    if unknown:
        names = ", ".join(f"'{check.name}'" for check in ALL_CHECKS)
        raise InputError(f"--only {unknown[0]!r} is no check; take one of: {names}.")
    checks = [check for check in ALL_CHECKS if not only or check.name in only]
    console = Console()
    rows: list[Row] = []
    with connect(url, base_model) as service, with_reference(service, reference, wait) as probe:
        beside = (
            "our own engine" if probe.reference else "itself alone, as its base model is not on this machine"
        )
        of = f"{counted(len(checks), 'check')} of {service.url}, base model {service.base_model}"
        say(console, f"{of}, beside {beside}")
        for row in measured_rows(probe, checks):
            rows.append(row)
            _show(console, row.verdict, row.name, row.came, row.consequence)
        report = report_on(probe, name, rows)
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in STYLES}
    console.print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()), highlight=False)
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")


def _show(console: Console, verdict: str, name: str, came: str, consequence: str) -> None:
    line = Text.assemble((f"{verdict:<14}", STYLES[verdict]), f"{name}: {came}")
    if consequence:
        line.append(f"\n{'':<14}{consequence}", "yellow")
    console.print(line, soft_wrap=True)
