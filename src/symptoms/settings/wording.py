"""Settings in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as they are written in a file."""

    def as_told(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name} {as_told(value)}" for name, value in settings.items())
