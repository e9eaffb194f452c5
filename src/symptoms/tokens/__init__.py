"""Examples to token ids and weights, and on to the datums of the Tinker API."""

from symptoms.tokens.datums import mean_loss, to_datum
from symptoms.tokens.example_tokens import (
    STOP,
    TokenizedExample,
    Tokenizer,
    as_tokenizer,
    check_lengths,
    completion_text,
    prompt_text,
    prompt_tokens,
    rendered,
    tokenize,
)
from symptoms.tokens.file_alone import is_whole_tokenizer
from symptoms.tokens.file_tokenizer import FileTokenizer
from symptoms.tokens.label_tokens import concern_beginnings, concern_line, concern_tokens
from symptoms.tokens.mended_slips import SlipMender
from symptoms.tokens.part_weights import concern_alone, emphasise_concern
from symptoms.tokens.sentence_case import in_sentence_case

__all__ = [
    "STOP",
    "FileTokenizer",
    "SlipMender",
    "TokenizedExample",
    "Tokenizer",
    "as_tokenizer",
    "check_lengths",
    "completion_text",
    "concern_alone",
    "concern_beginnings",
    "concern_line",
    "concern_tokens",
    "emphasise_concern",
    "in_sentence_case",
    "is_whole_tokenizer",
    "mean_loss",
    "prompt_text",
    "prompt_tokens",
    "rendered",
    "to_datum",
    "tokenize",
]
