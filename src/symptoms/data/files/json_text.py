"""What a text of JSON holds, whatever its file's name ends in."""

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
    if len(lines) > 1:
        return True
    return bool(keys) and not any(key in keys for key in A_RECORD_HAS_NOT) and not is_of_columns(keys)


def holds_columns(text: str) -> bool:
    """Whether all of it is one object of columns or of splits, as pandas' `to_json` writes it by default."""
    return text.lstrip().startswith("{") and is_of_columns(_parsed(text))


def is_of_columns(document: object) -> bool:
    """Whether it is an object whose values are all lists or objects, and no experiment."""
    if not isinstance(document, dict) or not document:
        return False
    fields = cast(dict[str, Any], document)
    nested = all(isinstance(value, list | dict) for value in fields.values())
    return nested and not any(key in fields for key in A_RECORD_HAS_NOT)


def holds_a_list(text: str) -> bool:
    """Whether all of it is one list."""
    return text.lstrip().startswith("[") and isinstance(_parsed(text), list)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
