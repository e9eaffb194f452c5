"""How far a long work on many rows is, how fast it goes, and when it will be done."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

EVERY_SECONDS = 60.0
"""How often a line is written where there is no terminal."""
Moved = Callable[[int, int | None, bool], None]
"""Takes how many rows are done, how many there are, and whether that was counted."""


@contextmanager
def progress_of(already: int, clock: Callable[[], float] = time.monotonic) -> Generator[Moved, None, None]:
    """Shows a bar on a terminal, and elsewhere a line a minute; `already` were done before.

    What it gives is to be called after each row.
    """
    console = Console(stderr=True)
    started = last = clock()

    def told(done: int, total: int | None, counted: bool) -> str:
        return pace(done, done - already, total, counted, clock() - started)

    if not console.is_terminal:

        def log(done: int, total: int | None, counted: bool) -> None:
            nonlocal last
            if clock() - last >= EVERY_SECONDS:
                last = clock()
                typer.echo(told(done, total, counted), err=True)

        yield log
        return
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as shown:
        task = shown.add_task("", total=None)

        def show(done: int, total: int | None, counted: bool) -> None:
            shown.update(task, description=told(done, total, counted), completed=done, total=total)

        yield show


def pace(done: int, done_here: int, total: int | None, counted: bool, seconds: float) -> str:
    """As in `1,200 of about 90,000, 33.1 a second, 45 min left`; `done_here` took the seconds."""
    parts = [f"{done:,}" if total is None else f"{done:,} of {'' if counted else 'about '}{total:,}"]
    if done_here > 0 and seconds > 0:
        rate = done_here / seconds
        parts.append(f"{rate:,.1f} a second" if rate >= 1 else f"{60 * rate:,.1f} a minute")
        if total is not None:
            parts.append(f"{_duration(max(0, total - done) / rate)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
