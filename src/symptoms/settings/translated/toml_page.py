"""A translation as the file that `symptoms train` takes, with its reasons as comments."""

import json
import textwrap
from typing import Any

from symptoms.settings.translated.translation import Translation

WIDTH = 110


def as_toml(translation: Translation, source: str) -> str:
    """The settings with their reasons above them, and below them what could not be carried over.

    `source` names the file they are from. No text of that file can become anything but a comment or a value.
    """
    parts = [
        _comment(
            f"From {source}, as {translation.tool} reads it. Train with: symptoms train THIS --data YOURS"
        )
    ]
    parts += [f"\n{_comment(one.reason)}{one.name} = {_value(one.value)}\n" for one in translation.carried]
    if translation.left:
        parts.append("\n" + _comment("Not carried over:"))
        parts += [_comment(f"{one.name}: {one.reason}", "#   ") for one in translation.left]
    return "".join(parts)


def _value(value: Any) -> str:
    # What JSON writes of a text, a number, true or false is TOML, too, but for exponents without a point.
    return json.dumps(value, ensure_ascii=True)


def _comment(text: str, later: str = "# ") -> str:
    # Characters that end a line or that TOML refuses in comments may stand in a value of theirs.
    readable = "".join(sign if sign.isprintable() else " " for sign in text)
    lines = textwrap.wrap(
        readable, WIDTH, initial_indent="# ", subsequent_indent=later, break_long_words=False
    )
    return "\n".join(lines) + "\n"
