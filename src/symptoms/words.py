"""Numbers in sentences, spelt one way."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """As in `1 error`, `2 errors` and `2,696 examples`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
