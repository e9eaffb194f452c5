"""What an exported model is asked, so that other programs' answers can be held against our own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel as Validated
from pydantic import ConfigDict, Field, ValidationError
from tokenizers import Tokenizer

from tinker_local.errors import ExportError

MOST_NEW_TOKENS = 48
TEXTS = (
    "The quick brown fox",
    "Question: What is the capital of France?\nAnswer:",
    "Once upon a time there was",
    "def add(a, b):\n",
    "In 1969, 3 people flew",
    "Dear all,\n\nthank you for",
    "The weather today is",
    "1, 2, 3, 4,",
    "<html>\n<head>\n<title>",
    "The three largest oceans are",
    "To boil an egg, first",
    "SELECT name FROM",
    "Monday, Tuesday, Wednesday,",
    "- bread\n- milk\n-",
    "Yesterday I met an old friend who",
    "Water freezes at",
    '{"name": "Ada", "age":',
    "Roses are red,",
    "Der Zug nach Berlin",
    "She opened the letter, and",
)
"""What is asked where nobody said what to ask."""


class _File(Validated):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: list[str] = Field(min_length=1)
    lines: list[str] = []
    stop: str = ""
    template: str = ""


@dataclass(frozen=True)
class Prompt:
    """A text and the tokens that it is for the model."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Questions:
    """Prompts to continue greedily, and lines of tokens whose likelihoods behind each prompt are ranked.

    Without lines the likeliest next tokens are ranked. A continuation is compared up to `stop`; empty, to
    its end. `template` is how Ollama is to make a prompt of what a user types; empty, that is the prompt.
    """

    prompts: tuple[Prompt, ...]
    lines: tuple[tuple[int, ...], ...]
    stop: str
    template: str = ""


def general_questions(tokenizer: Tokenizer, texts: Sequence[str] = TEXTS) -> Questions:
    """Questions for a model of which nothing is known."""
    plain = _reading_all_as_text(tokenizer)
    return Questions(tuple(_prompt(plain, text) for text in texts), (), "")


def read_questions(file: Path, tokenizer: Tokenizer) -> Questions:
    """The questions of a JSON file, or of a text file with one prompt a line; raises ExportError.

    The JSON is `{"prompts": [text, ...], "lines": [text, ...], "stop", "template"}`. Of each line so many
    tokens are scored as tell it from all others, as the lab scores labels.
    """
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{file} cannot be read; give a text file with one prompt a line.") from error
    if file.suffix != ".json":
        texts = [line for line in content.splitlines() if line.strip()]
        if not texts:
            raise ExportError(f"{file} holds no prompt; write one on each line.")
        return general_questions(tokenizer, texts)
    try:
        read = _File.model_validate(json.loads(content))
    except (ValueError, ValidationError) as error:
        raise ExportError(
            f"{file} holds no prompts, lines and stop as JSON; give a text file with one prompt a line."
        ) from error
    plain = _reading_all_as_text(tokenizer)
    lines = [tuple(plain.encode(line, add_special_tokens=False).ids) for line in read.lines]
    if not all(lines) or len(set(lines)) < len(lines):
        raise ExportError(f"{file} has a line that is empty, or the same as another; take it out.")
    return Questions(
        tuple(_prompt(plain, text) for text in read.prompts), _beginnings(lines), read.stop, read.template
    )


def _reading_all_as_text(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that reads control tokens, where they are spelled out, as the text that they are."""
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    return plain


def _prompt(plain: Tokenizer, text: str) -> Prompt:
    return Prompt(text, tuple(plain.encode(text).ids))


def _beginnings(lines: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Of each line the tokens up to the first that tells it from all others."""
    counts = Counter(line[:length] for line in lines for length in range(1, len(line) + 1))
    return tuple(
        next((line[:length] for length in range(1, len(line)) if counts[line[:length]] == 1), line)
        for line in lines
    )
