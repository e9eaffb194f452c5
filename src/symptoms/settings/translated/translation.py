"""What came of another tool's configuration."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Carried:
    """A setting of `symptoms train`, its value, and why it is that one."""

    name: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Left:
    """Something of the other tool's that has no counterpart here, by its name there, and what that means."""

    name: str
    reason: str


@dataclass(frozen=True)
class Translation:
    """Our settings for a configuration of `tool`, which names the version that its defaults are of."""

    tool: str
    carried: tuple[Carried, ...]
    left: tuple[Left, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings alone, by their names."""
        return {one.name: one.value for one in self.carried}
