"""The cases beside this file, as (kind, text) pairs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NOTICE = "notice"  # a calm notice and silence are both right


def texts_of(name: str, section: str | None = None) -> list[tuple[str, str]]:
    """Those of a file, or of one section of it, but for texts where a notice and silence are both right."""
    content: dict[str, Any] = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    groups = content[section] if section else content
    return [(kind, text) for kind, texts in groups.items() if kind != NOTICE for text in texts]
