"""`symptoms sweep`: many runs of one plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from symptoms.cli.options import BaseModelOption, ServiceOption, with_settings
from symptoms.cli.outcome import going_on_with
from symptoms.cli.tables import print_table
from symptoms.errors import InputError, RunError
from symptoms.service import connect
from symptoms.sweep import PlannedRun, SweepFolder, SweepPlan, preset_names, read_preset, read_sweep_file
from symptoms.sweep.plan_file import MAX_RUNS, with_options
from symptoms.sweep.requested_runs import (
    RequestedRun,
    by_base_model,
    check_named_by_user,
    check_offered,
    count_runs,
    request_runs,
)
from symptoms.words import counted, say

if TYPE_CHECKING:
    from symptoms.sweep.folder import Outcome


@with_settings
def sweep(
    plan: Annotated[
        Path | None, typer.Argument(help="A TOML file with settings and what varies; options win over it.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"A plan of the package: {', '.join(preset_names())}.")
    ] = None,
    varied: Annotated[
        list[str] | None,
        typer.Option("--set", help="Vary a setting, as in learning_rate=1e-3,3e-3; may be repeated."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="How many seeds, as in 3, or which, as in 0,5.")] = None,
    evaluate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Evaluate each run on this test set after training.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of its folder in runs/ (default: the plan's, or the time)."),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this sweep as it was planned.")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=16, help="Runs trained beside each other.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs with their steps and tokens, and train nothing.")
    ] = False,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
    *,
    settings: dict[str, Any],
) -> None:
    """Train the same with different settings and seeds; what is finished is not done again."""
    told = settings if base_model is None else {**settings, "base_model": base_model}
    if resume is not None:
        if plan or preset or varied or seeds or evaluate or name or told:
            raise InputError("--resume goes on with the plan of its sweep; give it alone.")
        record = SweepFolder.read(resume).record
        runs = [PlannedRun(entry.name, entry.setting, entry.settings) for entry in record.runs]
        name, evaluate, service = resume, record.evaluate, service or record.service
    else:
        if plan and preset:
            raise InputError("Give a file or --preset, not both.")
        begun = read_preset(preset) if preset else read_sweep_file(plan) if plan else SweepPlan({})
        complete = with_options(begun, told, varied or [], seeds, evaluate)
        if preset:
            named = (begun.grid or {}).get("base_model", [])
            replaced = (complete.grid or {}).get("base_model", []) is not named or "base_model" in told
            check_named_by_user(preset, [] if replaced else list(named), service)
        runs, evaluate = complete.runs(), complete.evaluate
        name = name or preset or (plan.stem if plan else datetime.now().strftime("sweep-%Y-%m-%d-%H%M%S"))
    if len(runs) > MAX_RUNS:
        raise InputError(f"The plan has {len(runs):,} runs; a sweep may have {MAX_RUNS:,}.")
    console = Console()
    requested = request_runs(runs, service, evaluate)
    folder = SweepFolder.open(name, runs, evaluate, service)
    if dry_run:
        _list_the_plan(requested, service, console)
    else:
        _run(folder, requested, at_once, console)


def _run(folder: SweepFolder, runs: Sequence[RequestedRun], at_once: int, console: Console) -> None:
    with folder.held():
        goes_on = f"if it is cut short, 'symptoms sweep --resume {folder.name}' goes on"
        say(console, f"Sweep {folder.name}: {counted(len(runs), 'run')} in {folder.path}; {goes_on}")
        # Imported now, since it takes seconds in which the sentence above can be read.
        from symptoms.sweep.running import Sweep
        from symptoms.sweep.view import SweepView

        with SweepView(console, runs) as view, going_on_with(f"symptoms sweep --resume {folder.name}"):
            outcomes = Sweep(folder, runs, view, console, at_once).run()
    _tell(folder, outcomes, console)


def _tell(folder: SweepFolder, outcomes: Sequence[tuple[str, Outcome]], console: Console) -> None:
    failed = [(name, outcome) for name, outcome in outcomes if outcome.state == "failed"]
    finished = f"{len(outcomes) - len(failed)} of {counted(len(outcomes), 'run')} finished"
    say(console, f"\n{finished} in {folder.path}")
    say(console, f"compare them   symptoms compare {folder.name} --html {folder.path / 'compare.html'}")
    if failed:
        problems = "\n".join(f"{name}: {outcome.problem}" for name, outcome in failed)
        raise RunError(
            f"{counted(len(failed), 'run')} failed; the same command tries them again.\n{problems}"
        )


def _list_the_plan(runs: Sequence[RequestedRun], service: str | None, console: Console) -> None:
    table = Table(
        "run", "steps", "examples", "tokens", "trained", "dev tokens", "cost", box=None, pad_edge=False
    )
    steps = tokens = dev_tokens = 0
    prices: list[float | None] = []
    for base_model, group in by_base_model(runs).items():
        preferred = group[0].request.preferred_base_model
        with console.status("counting"), connect(service, base_model, preferred=preferred) as connected:
            check_offered(runs, connected)
            works = count_runs(group, connected)
        for run, work, dollars in works:
            steps, tokens = steps + work.num_steps, tokens + work.num_tokens
            dev_tokens += work.num_dev_tokens
            prices.append(dollars)
            counts = (work.num_steps, work.num_examples, work.num_tokens, work.num_trained_tokens)
            cells = [f"{count:,}" for count in (*counts, work.num_dev_tokens)]
            table.add_row(run.name, *cells, _price(dollars))
    print_table(table)
    known = [price for price in prices if price is not None]
    total = sum(known) if len(known) == len(prices) else None
    taken = f"{counted(len(runs), 'run')}, {counted(steps, 'step')} over {counted(tokens, 'token')}"
    say(console, f"\n{taken}, and {counted(dev_tokens, 'dev token')}; cost: {_price(total)}")


def _price(dollars: float | None) -> str:
    return "not known" if dollars is None else "none" if dollars == 0 else f"${dollars:.2f}"
