"""How the files of a run are written: whole or not at all, and line by line."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON object, in place of what was there."""
    replace_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def append_line(file: Path, line: Mapping[str, Any]) -> None:
    """Add one JSON object as a line of its own."""
    with open(file, "a", encoding="utf-8") as opened:
        opened.write(json.dumps(line, ensure_ascii=False) + "\n")


def rewrite_lines(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write these lines in place of what was there; no lines make no file where there was none."""
    if lines or file.exists():
        replace_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a file, one a line; none where there is no file."""
    if not file.exists():
        return []
    # What follows the last line break was being written when its writer was killed.
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def replace_text(file: Path, text: str) -> None:
    """Write a file so that a reader finds the old or the new one, whatever happens in between."""
    partial = file.with_name(f".{file.name}.partial")
    with open(partial, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(partial, file)
