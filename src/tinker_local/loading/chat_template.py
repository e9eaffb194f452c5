"""A folder's chat template, as it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tinker_local.loading.json_file import read_json
from tinker_local.loading.tokenizer_file import SETTINGS


def stored_chat_template(folder: Path) -> str | None:
    """The template in chat_template.jinja or tokenizer_config.json, where several the default one, or None.

    Raises StartupError, OSError or UnicodeDecodeError for a file that cannot be read.
    """
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    settings = folder / SETTINGS
    found: Any = read_json(settings).get("chat_template") if settings.exists() else None
    if isinstance(found, list):
        named = [cast(dict[str, Any], each) for each in cast(list[Any], found) if isinstance(each, dict)]
        found = next((each.get("template") for each in named if each.get("name") == "default"), None)
    return found if isinstance(found, str) else None
