"""The values of another tool's configuration, with its defaults, and which of them were asked for."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from symptoms.errors import InputError
from symptoms.settings.translated.translation import Carried, Left, Translation

NAMED_ASIDE = 6


@dataclass(frozen=True)
class TheirValues:
    """A configuration by its names there, and what has become of it so far.

    A name that the file does not have has the default of `tool`, which names the version.
    """

    tool: str
    _told: Mapping[str, Any]
    _carried: dict[str, Carried] = field(default_factory=dict[str, Carried])
    _left: list[Left] = field(default_factory=list[Left])
    _asked: set[str] = field(default_factory=set[str])

    def carry(self, ours: str, value: Any, reason: str) -> None:
        """One of our settings."""
        self._carried[ours] = Carried(ours, value, reason)

    def carry_number(self, ours: str, name: str, default: float, more: str = "") -> float:
        """One of our settings that is the number under a name there; `more` ends its reason."""
        value = self.number(name, default)
        self.carry(ours, value, f"{self.whence(name)}{more}")
        return value

    def carry_whole(self, ours: str, name: str, default: int, more: str = "") -> int:
        """The same for a whole number."""
        value = self.whole(name, default)
        self.carry(ours, value, f"{self.whence(name)}{more}")
        return value

    def leave(self, name: str, reason: str) -> None:
        """Something of theirs that is not carried over."""
        self._left.append(Left(name, reason))

    def translation(self) -> Translation:
        """What came of it all, in the order in which it was made."""
        return Translation(self.tool, tuple(self._carried.values()), tuple(self._left))

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
        return TheirValues(self.tool, cast(Mapping[str, Any], value), self._carried, self._left)

    def whence(self, name: str, value: float | str | None = None) -> str:
        """The name with its value, and that it is the tool's default where the file says nothing."""
        shown = "" if value is None else f" {value if isinstance(value, str) else format(value, 'g')}"
        return f"{name}{shown}" if self.told(name) else f"{name}{shown}, by default in {self.tool}"

    def leave_the_rest(self, of_no_effect: Iterable[str] = ()) -> None:
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
            self.leave(name, f"nothing here stands for it{perhaps}")
        if aside:
            more = f" and {len(aside) - NAMED_ASIDE} more" if len(aside) > NAMED_ASIDE else ""
            named = ", ".join(aside[:NAMED_ASIDE]) + more
            self.leave(named, "about logging, storing or the machine, not what is learned")
