"""Examples to token ids and weights, and on to the datums of the Tinker API."""

from symptoms.tokens.bundled import FileTokenizer
from symptoms.tokens.renderer import (
    STOP,
    TokenizedExample,
    Tokenizer,
    as_tokenizer,
    check_lengths,
    completion_text,
    concern_beginnings,
    concern_tokens,
    mean_loss,
    prompt_text,
    prompt_tokens,
    rendered,
    to_datum,
    tokenize,
)

__all__ = [
    "STOP",
    "FileTokenizer",
    "TokenizedExample",
    "Tokenizer",
    "as_tokenizer",
    "check_lengths",
    "completion_text",
    "concern_beginnings",
    "concern_tokens",
    "mean_loss",
    "prompt_text",
    "prompt_tokens",
    "rendered",
    "to_datum",
    "tokenize",
]
