"""Numbers and settings in sentences, spelt one way, and sentences on a console."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Halves of surrogate pairs, which no file can hold, become U+FFFD one for one: places stay."""
    return _SURROGATE.sub("\ufffd", text)


def counted(number: int, what: str) -> str:
    """As in `1 error`, `2 errors` and `2,696 examples`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as they are written in a file."""

    def as_told(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name} {as_told(value)}" for name, value in settings.items())


def say(console: Console, text: str = "", style: str | None = None) -> None:
    """A line as it is: no markup is read in it, nothing is coloured, and a terminal alone breaks it."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
