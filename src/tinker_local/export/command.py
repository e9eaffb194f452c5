"""What `tinker-local export` does and prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from base_models import on_one_line
from tinker_local.errors import ExportError
from tinker_local.export.checking.questions import general_questions, read_questions
from tinker_local.export.checking.verification import HEADS, Comparison, row
from tinker_local.export.exporting import CheckFailedError, check_free, export
from tinker_local.export.forms import Form, chosen_kind
from tinker_local.export.source import open_source
from tinker_local.service.checkpoints import parse_path

SECONDS_BETWEEN = 5.0
"""How often a line of progress is written where there is no terminal to write it over."""


def run_export(
    path: str,
    form: Form,
    quantize: str | None,
    output: Path | None,
    home: Path,
    adapters: Sequence[Path],
    prompts: Path | None,
    card: Path | None,
    checked: bool,
    name: str = "tinker-local",
) -> None:
    """Export, with progress on standard error and the table on standard output; raises TinkerLocalError.

    `name` is what is said to be at work.
    """
    kind = chosen_kind(form, quantize)
    checkpoint = parse_path(path)
    named = "-".join(filter(None, (checkpoint.run.replace(":", "-"), checkpoint.name, form, kind)))
    folder = output or Path("exports") / named
    check_free(folder)
    about = None if card is None else _text(card)
    tell, end = _progress(name)
    source = open_source(path, home, adapters, tell)
    tokenizer = source.base.tokenizer
    questions = general_questions(tokenizer) if prompts is None else read_questions(prompts, tokenizer)
    try:
        done = export(source, form, quantize, folder, questions, about, checked, tell=tell)
    except CheckFailedError as error:
        end()
        sys.stdout.write(_table([error.found]))
        raise
    finally:
        end()
    if done.comparisons:
        sys.stdout.write(_table(done.comparisons))
        differences = [one.first_difference for one in done.comparisons if one.first_difference]
        sys.stdout.writelines(f"first difference: {each}\n" for each in dict.fromkeys(differences))
        if done.note:
            sys.stdout.write(f"{done.note}\n")
        sys.stdout.write(f"Exported to {done.folder}, checked; README.md there says how to run it.\n")
    else:
        sys.stdout.write(
            f"Exported to {done.folder}, NOT CHECKED: no other program has loaded it; export it again "
            "without --unchecked.\n"
        )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{file} cannot be read; give a Markdown file.") from error


def _table(comparisons: Sequence[Comparison]) -> str:
    rows = [HEADS, *(row(one) for one in comparisons)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEADS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)) for each in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _progress(name: str) -> tuple[Callable[[str], None], Callable[[], None]]:
    """How to tell what is going on, one line over another on a terminal, and how to end that."""
    shown, last = sys.stderr.isatty(), [0.0, ""]

    def tell(what: str) -> None:
        line = on_one_line(f"{name} is {what}")
        stage = what.partition(",")[0]
        if shown:
            sys.stderr.write(f"\r\x1b[K{line}")
        elif stage != last[1] or time.monotonic() - float(last[0]) > SECONDS_BETWEEN:
            sys.stderr.write(f"{line}\n")
            last[:] = [time.monotonic(), stage]
        sys.stderr.flush()

    def end() -> None:
        if shown:
            sys.stderr.write("\r\x1b[K")

    return tell, end
