"""The values of another tool's configuration, with its defaults, and which of them were asked for."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from symptoms.errors import InputError
from symptoms.settings.translated.translation import Draft

MANY = 6


class TheirValues:
    """A configuration by its names there; a name that the file does not have has the tool's default."""

    def __init__(self, tool: str, told: Mapping[str, Any]) -> None:
        """`tool` names the version whose defaults are used."""
        self.tool = tool
        self._told = told
        self._asked: set[str] = set()

    def told(self, name: str) -> bool:
        """Whether the file itself says something there."""
        return self._told.get(name) is not None

    def any(self, name: str, default: Any = None) -> Any:
        """A value as it stands, the default for one that is not there or null."""
        self._asked.add(name)
        value = self._told.get(name)
        return default if value is None else value

    def number(self, name: str, default: float) -> float:
        """A number, also where YAML reads `2e-5`, which has no point, as text; raises InputError."""
        value = self.any(name, default)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{name} is {value!r}, and a number was expected; correct it in the file.")
        return number

    def whole(self, name: str, default: int) -> int:
        """A whole number; raises InputError."""
        number = self.number(name, default)
        if not number.is_integer():
            raise InputError(f"{name} is {number}, and a whole number was expected; correct it in the file.")
        return int(number)

    def flag(self, name: str) -> bool:
        """True or false, false by default, also where it was written as text; raises InputError."""
        value = self.any(name, False)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, bool):
            raise InputError(f"{name} is {value!r}, and true or false was expected; correct it in the file.")
        return value

    def part(self, name: str) -> TheirValues:
        """The mapping under a name, empty where there is none; raises InputError for anything else."""
        value = self.any(name, {})
        if not isinstance(value, Mapping):
            raise InputError(
                f"{name} is {value!r}, and names with values were expected; correct it in the file."
            )
        return TheirValues(self.tool, cast(Mapping[str, Any], value))

    def whence(self, name: str, value: float | str | None = None) -> str:
        """The name with its value, and that it is the tool's default where the file says nothing."""
        shown = "" if value is None else f" {value if isinstance(value, str) else format(value, 'g')}"
        return f"{name}{shown}" if self.told(name) else f"{name}{shown}, by default in {self.tool}"

    def leave_the_rest(self, draft: Draft, of_no_effect: Iterable[str] = ()) -> None:
        """Name what was told and never asked for; `of_no_effect`: beginnings of names that teach nothing."""
        beginnings = tuple(of_no_effect)
        aside: list[str] = []
        for name, value in self._told.items():
            if name in self._asked or value in (None, False, "", [], {}):
                continue
            if name.startswith(beginnings):
                aside.append(name)
                continue
            meant = difflib.get_close_matches(name, self._asked, n=1, cutoff=0.85)
            perhaps = f"; {meant[0]} is meant, perhaps" if meant else ""
            draft.leave(name, f"nothing here stands for it{perhaps}")
        if aside:
            more = f" and {len(aside) - MANY} more" if len(aside) > MANY else ""
            draft.leave(
                ", ".join(aside[:MANY]) + more, "about logging, storing or the machine, not what is learned"
            )
