"""Objects in JSON files, with one sentence for whatever is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from tinker_local.errors import StartupError


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; raises StartupError where there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StartupError(
            f"There is no {file}; point --base-model at a folder that holds a model."
        ) from error
    except OSError as error:
        raise StartupError(f"{file} cannot be read ({error.strerror}); check what it is.") from error
    # Besides broken JSON and broken UTF-8, numbers of thousands of digits are a ValueError.
    except (ValueError, RecursionError) as error:
        raise StartupError(f"{file} is not valid JSON ({error}); it may be damaged.") from error
    if not isinstance(content, dict):
        raise StartupError(f"{file} does not hold a JSON object; it may be damaged.")
    return cast(dict[str, Any], content)


def shown(name: str) -> str:
    """A name out of a file as it may stand in a sentence: one line of characters that can be read."""
    return name if name.isprintable() else ascii(name)
