"""The help of every command as one page, so that docs/cli.md and `--help` never differ.

python docs/site/help_pages.py docs/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from symptoms.cli.app import app
from symptoms.errors import InputError

BEGIN = "<!-- what follows is written by 'make cli-docs' -->\n"
WIDTH = 100
Command: TypeAlias = TyperCommand | TyperGroup
SHELLS = ("install_completion", "show_completion")


def help_pages() -> str:
    """The help of `symptoms` and of each of its commands, in Markdown."""
    sections = (f"\n## {name}\n\n```text\n{_help(name, command)}\n```\n" for name, command in every_command())
    return "".join(sections)


def every_command() -> Iterator[tuple[str, Command]]:
    """Each command with its whole name, groups before what is in them; hidden ones are left out."""
    yield from _commands("symptoms", cast(Command, get_command(app)))


def undocumented() -> list[str]:
    """Commands and options that have no help of their own."""
    found: list[str] = []
    for name, command in every_command():
        if not (command.help or "").strip():
            found.append(name)
        found.extend(
            f"{name} {parameter.name}"
            for parameter in command.params
            if parameter.name not in SHELLS and not getattr(parameter, "help", None)
        )
    return found


def with_help_pages(page: str) -> str:
    """A page with what stands after its marker replaced; raises InputError for a page without one."""
    head, marker, _ = page.partition(BEGIN)
    if not marker:
        raise InputError(f"The page has no line {BEGIN.strip()!r}; add it where the commands are to stand.")
    return head + marker + help_pages()


def _commands(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield name, command
    if isinstance(command, TyperGroup):
        for called, listed in sorted(command.commands.items()):
            if not listed.hidden:
                # The very command, and not what stands for it in the list.
                _, inner, _ = command.resolve_command(typer.Context(command), [called])
                yield from _commands(f"{name} {called}", cast(Command, inner))


def _help(name: str, command: Command) -> str:
    context = typer.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    lines = command.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_help_pages(page.read_text(encoding="utf-8")), encoding="utf-8")
