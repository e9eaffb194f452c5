"""Many descriptions to JSON lines, in their order; what is there already is not done again."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import typer

from symptoms.classifier import Classifier
from symptoms.cli.batch_progress import progress_of
from symptoms.cli.batch_results import (
    WHOLE,
    ResultCounts,
    Row,
    Shard,
    encoded,
    opened_results,
    result_line,
    skip_finished,
)
from symptoms.data.descriptions import Description, Descriptions
from symptoms.errors import InputError
from symptoms.words import counted


def assess_file(
    load: Callable[[str | None], AbstractContextManager[Classifier]],
    descriptions: Descriptions,
    out: Path | None,
    shard: Shard = WHOLE,
) -> None:
    """Write a line for each row of the shard that is not finished to `out`, or to standard output.

    A few dozens of rows are in memory at a time. `load` gives the classifier, and is told the checkpoint
    that the finished ones are by. Raises InputError where `out` has something else or is by another
    checkpoint, and at the end where rows could not be read.
    """
    rows = shard.of(descriptions)
    with ExitStack() as held:
        # For this process alone from before it is looked at.
        file = held.enter_context(opened_results(out))
        written = ResultCounts() if out is None else skip_finished(out, file, rows)
        classifier = held.enter_context(load(written.checkpoint))
        if written.checkpoint not in (None, classifier.checkpoint):
            raise InputError(
                f"{out} was begun with {written.checkpoint}; go on with that run, or choose another --out."
            )
        typer.echo(classifier.about, err=True)
        noted = descriptions.notes
        for note in noted:
            typer.echo(note, err=True)
        moved = held.enter_context(progress_of(written.total))
        asked: deque[Row] = deque()
        try:
            for outcome in classifier.outcomes(_asked(rows, asked)):
                line = result_line(asked.popleft(), classifier.checkpoint, outcome)
                file.write(encoded(line))
                file.flush()
                written.add(line)
                moved(written.total, _share(descriptions, shard), descriptions.total_is_counted)
        except KeyboardInterrupt:
            total = _share(descriptions, shard)
            of = "" if total is None else f" of {'' if descriptions.total_is_counted else 'about '}{total:,}"
            goes_on = "; the same command goes on from there" if out else ""
            typer.echo(f"Stopped after {written.total:,}{of}{goes_on}.", err=True)
            raise
    for note in descriptions.notes[len(noted) :]:
        typer.echo(note, err=True)
    _conclude(written, out)


def _asked(rows: Iterator[Row], asked: deque[Row]) -> Iterator[str | InputError]:
    """What is asked of each row, which is put at the end of `asked` as it is taken."""
    for row in rows:
        asked.append(row)
        described = row[1]
        if isinstance(described, Description):
            yield described.text
        else:
            yield InputError(f"{described.field}: {described.problem}")


def _share(descriptions: Descriptions, shard: Shard) -> int | None:
    total = descriptions.total
    return None if total is None else shard.share_of(total)


def _conclude(written: ResultCounts, out: Path | None) -> None:
    counts = written.counts
    give = "gives" if counts["no reason"] == 1 else "give"
    typer.echo(
        f"{counted(written.total, 'description')}: {counts['answered']:,} with a condition, "
        f"{counts['no reason']:,} that {give} no reason for one, "
        f"{counts['abstained']:,} without a clear one, {counts['unreadable']:,} that could not be read.",
        err=True,
    )
    if counts["crisis"]:
        typer.echo(
            f"{counts['crisis']:,} of them may speak of danger now; their lines have a crisis_notice.",
            err=True,
        )
    if counts["unscreened"]:
        are = "is in a language" if counts["unscreened"] == 1 else "are in languages"
        typer.echo(
            f"{counts['unscreened']:,} {are} that the crisis screen does not read; the lines have a "
            "language_notice with screened false.",
            err=True,
        )
    if counts["unreadable"]:
        where = f" in {out}" if out else ""
        raise InputError(
            f"{counted(counts['unreadable'], 'description')} could not be read; 'error'{where} says why."
        )
