"""What an exported model is asked, so that other programs' answers can be held against our own."""

from __future__ import annotations

import json
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
)
"""What is asked where nobody said what to ask."""


class _Prompt(Validated):
    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    tokens: list[int] = Field(min_length=1)


class _File(Validated):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: list[_Prompt] = Field(min_length=1)
    lines: list[list[int]]
    stop: str
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
    return Questions(tuple(Prompt(text, tuple(tokenizer.encode(text).ids)) for text in texts), (), "")


def read_questions(file: Path, tokenizer: Tokenizer, vocab_size: int) -> Questions:
    """The questions of a JSON file, or of a text file with one prompt a line; raises ExportError.

    The JSON is `{"prompts": [{"text", "tokens"}], "lines": [[token, ...]], "stop", "template"}`.
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
        raise ExportError(f"{file} does not hold prompts with their tokens, lines and a stop.") from error
    tokens = [token for prompt in read.prompts for token in prompt.tokens]
    tokens += [token for line in read.lines for token in line]
    if min(tokens) < 0 or max(tokens) >= vocab_size or not all(read.lines):
        raise ExportError(f"{file} has tokens outside the vocabulary of {vocab_size}; write it anew.")
    return Questions(
        tuple(Prompt(prompt.text, tuple(prompt.tokens)) for prompt in read.prompts),
        tuple(map(tuple, read.lines)),
        read.stop,
        read.template,
    )
