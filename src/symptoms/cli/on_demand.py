"""Commands that are imported when they are asked for, so that the help of all of them needs none of them."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from symptoms.packaged import packaged

Command = TyperCommand | TyperGroup


@dataclass(frozen=True)
class Entry:
    """A command, with what commands.toml says of it."""

    name: str
    at: str
    summary: str

    def loaded(self) -> Command:
        """The command itself."""
        module, _, attribute = self.at.partition(":")
        found = getattr(import_module(f"symptoms.cli.{module}"), attribute)
        # Typer makes commands as part of an app alone.
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=self.name)
        else:
            app.command(self.name)(found)
            app.callback()(_nothing)
        [command] = get_group(app).commands.values()
        assert isinstance(command, Command)
        return command

    def listed(self) -> Command:
        """What stands for it in the list of commands."""
        return TyperCommand(self.name, help=self.summary)


def packaged_commands() -> tuple[Entry, ...]:
    """The commands of commands.toml, in its order."""
    return tuple(Entry(name, **told) for name, told in packaged(__package__, "commands.toml").items())


def on_demand(entries: tuple[Entry, ...]) -> type[TyperGroup]:
    """The kind of group that lists these commands and loads each when it is asked for."""
    by_name = {entry.name: entry for entry in entries}

    class OnDemandGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            settings["commands"] = [entry.listed() for entry in entries]
            super().__init__(**settings)

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, listed, rest = super().resolve_command(ctx, args)
            return name, listed if name is None else by_name[name].loaded(), rest

    return OnDemandGroup


def _nothing() -> None:
    """Makes an app of one command a group, too."""
