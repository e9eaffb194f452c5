"""What a text of JSON holds, whatever its file's name ends in."""

from __future__ import annotations

import json
from typing import Any, cast

A_RECORD_HAS_NOT = ("config", "examples")
"""Keys of an experiment's file."""


def holds_json_lines(text: str) -> bool:
    """Whether the first line is an object by itself and others follow, or it is one example alone."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines or not lines[0].lstrip().startswith("{"):
        return False
    first = _parsed(lines[0])
    if not isinstance(first, dict):
        return False
    keys = cast(dict[str, Any], first)
    return len(lines) > 1 or (bool(keys) and not any(key in keys for key in A_RECORD_HAS_NOT))


def holds_a_list(text: str) -> bool:
    """Whether all of it is one list."""
    return text.lstrip().startswith("[") and isinstance(_parsed(text), list)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
