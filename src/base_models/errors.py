"""What can go wrong, as one type. Every message is one sentence that says what to do next."""

from __future__ import annotations


class BaseModelError(Exception):
    """A base model cannot be found, got or trusted."""


def on_one_line(sentence: str) -> str:
    """As `readable`, line breaks too: for lines that another program reads one by one."""
    return readable(sentence).replace("\n", "\\n")


def readable(sentence: str) -> str:
    """A sentence as it may be printed: what could steer a terminal, out of a file's name say, as its code."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1]
        for character in sentence
    )
