"""`symptoms runs`: what was trained, how it went, and clearing up."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.table import Table

from symptoms.cli.options import ServiceOption
from symptoms.cli.tables import print_table
from symptoms.errors import RunError
from symptoms.exchange import average as average_of
from symptoms.runs import SHIPPED, RunDirectory, all_runs, ensembles_with, find_run, join_runs, run_by_name
from symptoms.sweep import find_sweep, runs_of_sweep
from symptoms.words import counted

runs_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, join and remove runs.")

NameArgument = Annotated[str, typer.Argument(help="A run by name or folder, or a sweep.")]


@runs_app.command("list")
def list_runs() -> None:
    """All runs in runs/, the newest last."""
    runs = all_runs()
    if not runs:
        typer.echo("There are no runs in runs/ yet.")
        return
    _list(runs)


@runs_app.command()
def show(name: NameArgument) -> None:
    """The settings of a run, how it went, and its checkpoints; of a sweep, its runs."""
    if (of_sweep := runs_of_sweep(name)) is not None:
        _list(of_sweep)
        return
    run = run_by_name(name)
    manifest = run.manifest()
    state, base_model, final, dev = _outline(run)
    told = {
        "state": state,
        "started": manifest["started"],
        "service": manifest["service_url"] or manifest["service"],
        "base model": base_model,
        "data": f"{manifest['data']} (sha256 {manifest['data_sha256'][:12]})",
        "loss": manifest["loss_reduction"],
        "final loss": final,
        "dev loss": dev,
    }
    for key, value in told.items():
        if value:
            typer.echo(f"{key:<16} {value}")
    typer.echo("\nsettings")
    not_understood = run.settings_not_understood()
    for key, value in {**run.settings_told(), **not_understood}.items():
        unknown = "  (this version does not understand it)" if key in not_understood else ""
        typer.echo(f"  {key:<24} {value}{unknown}")
    for members, how in ((run.members(), "that answer together"), (run.averaged(), "that it is the mean of")):
        if members:
            typer.echo(f"\nruns {how}")
        for member in members:
            typer.echo(f"  {member.run:<24} {member.checkpoint}")
    if run.members():
        return
    typer.echo("\ncheckpoints")
    for line in run.checkpoints():
        typer.echo(f"  step {line['step']:<8} {line['kind']:<10} {line['path']}")


@runs_app.command()
def ensemble(
    name: Annotated[str, typer.Argument(help="What the ensemble is to be called.")],
    members: Annotated[
        list[str], typer.Argument(help="Runs by name or folder, or a sweep for all of its runs.")
    ],
) -> None:
    """Let runs on the same examples answer together, by the mean of their log-probabilities.

    Trainings that differ in their seed alone make different mistakes; together they are right more often. It
    is measured and asked by its name as any run is, and asking takes as much longer as it has members. The
    classifier that ships, which learnt from data/train.jsonl, can be one, by the name 'shipped'.
    """
    runs = _runs_named(members)
    joined = join_runs(name, runs)
    together = ", ".join(run.name for run in runs)
    typer.echo(f"{joined.name}: {together} answer together. 'symptoms evaluate {joined.name}' measures it.")


@runs_app.command()
def average(
    name: Annotated[str, typer.Argument(help="What the average is to be called.")],
    members: Annotated[
        list[str], typer.Argument(help="Runs by name or folder, or a sweep for all of its runs.")
    ],
    rank: Annotated[
        int | None,
        typer.Option(min=1, help="The rank of its adapter; by default the sum of theirs, which is exact."),
    ] = None,
) -> None:
    """Make one run of runs on the same examples: its weights are the mean of theirs.

    Trainings that differ in their seed alone make different mistakes, and the mean of their weights makes
    fewer, at the price of one of them. It is measured, asked and exported by its name as any run is.
    """
    runs = _runs_named(members)
    joined, made = average_of(name, runs, rank)
    together = ", ".join(run.name for run in runs)
    typer.echo(
        f"{joined.name}: the mean of {together}, {made}. 'symptoms evaluate {joined.name}' measures it."
    )


def _runs_named(names: Sequence[str]) -> list[RunDirectory]:
    """Runs, and in the place of a sweep all of its runs."""
    return [run for name in names for run in runs_of_sweep(name) or [run_by_name(name)]]


@runs_app.command()
def rm(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Delete its checkpoints from the service, too.")
    ] = False,
    service: ServiceOption = None,
) -> None:
    """Remove a run or a whole sweep, and with --checkpoints what the service keeps of it."""
    sweep, of_sweep = find_sweep(name), runs_of_sweep(name)
    if sweep is None and of_sweep is None and name == SHIPPED and run_by_name(name).is_shipped:
        raise RunError(f"The run {name} ships with the program and is not removed.")
    runs = [find_run(name)] if of_sweep is None else of_sweep
    folder = runs[0].path if sweep is None else sweep.path
    saved = [(run, [line["path"] for line in run.checkpoints()]) for run in runs]
    if checkpoints and (joined := ensembles_with({path for _, paths in saved for path in paths})):
        raise RunError(f"Checkpoints of {name} answer in the ensemble {joined[0].name}; remove that first.")
    parts = [] if sweep is None else [counted(len(runs), "run")]
    parts += [counted(sum(len(paths) for _, paths in saved), "checkpoint")] if checkpoints else []
    what = f"{folder}{' with ' if parts else ''}{' and '.join(parts)}"
    if not yes and not typer.confirm(f"Remove {what}?"):
        raise RunError("Nothing was removed.")
    with ExitStack() as held:
        if sweep is not None:
            held.enter_context(sweep.held())
        for run in runs:
            held.enter_context(run.held())
        if checkpoints:
            for run, paths in saved:
                _delete_checkpoints(run, paths, service)
        shutil.rmtree(folder)
    typer.echo(f"Removed {what}.")


def _delete_checkpoints(run: RunDirectory, paths: Sequence[str], service: str | None) -> None:
    if not paths:
        return
    from symptoms.service import connect

    typer.echo(f"Deleting the checkpoints of {run.name} ...")
    manifest = run.manifest()
    where = service or manifest["service_url"] or manifest["service"]
    # Those of a base model that was retired can still be deleted.
    with connect(where, manifest["base_model"], needs_base=False) as connected:
        connected.delete_checkpoints(paths)


def _list(runs: Sequence[RunDirectory]) -> None:
    heads = ("run", "started", "state", "base model", "final loss", "dev loss")
    table = Table(*heads, box=None, pad_edge=False)
    for run in runs:
        table.add_row(run.name, str(run.manifest()["started"])[:16], *_outline(run))
    print_table(table)


def _outline(run: RunDirectory) -> tuple[str, str, str, str]:
    """State, base model, final loss, and the dev loss of the weights that are used."""
    manifest, metrics = run.manifest(), run.metrics()
    if run.is_shipped:
        state = "ships with the program, as the classifier that answers where nothing was trained"
    elif members := run.members():
        state = f"ensemble of {len(members)}"
    elif members := run.averaged():
        state = f"average of {len(members)}"
    elif run.is_finished:
        state = f"finished, {counted(len(metrics), 'step')}"
    else:
        total = manifest.get("num_steps")
        taken = f"{len(metrics):,} of {counted(total, 'step')}" if total else counted(len(metrics), "step")
        state = f"{'training' if run.is_held else 'interrupted'}, {taken}"
    final_loss = run.final_loss()
    final = "-" if final_loss is None else f"{final_loss:.3f}"
    dev_loss = run.used_dev_loss()
    return state, manifest["base_model"], final, "-" if dev_loss is None else f"{dev_loss:.3f}"
