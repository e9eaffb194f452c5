"""A small byte-level vocabulary as a GGUF file holds it, and texts that its tokenizer may get wrong."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tinker_local.loading.gguf.pre_tokenizers import PRE_TOKENIZERS
from tinker_local.loading.gguf.vocabulary import Kind
from tiny_gguf import tiny_model, write_tiny_gguf

CUTS = ("gpt-2", "smollm", "llama-bpe", "qwen2")
"""One name of each way to cut a text into words."""
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
MISSING = "\x04\x13\U00040000"
"""Characters for whose bytes a vocabulary may have no tokens: two themselves, one in its first byte."""
PIECES = [
    *"abelmrstvdxyABELMRSTVD0123456789 '\t\n\r.,!?-_<>|/\\\"#@$%&*()[]{}=+~^`;:",
    "'s", "'S", "'t", "'ll", "'LL", "'lL", "'re", "'Ve", "'m", "'d", "'T", "n't", "\u2019s", "`s", "''",
    "'\u017f", "  ", "   ", "\n\n", "\r\n", "\t\t", " \n", "\n ", "\x0b", "\x0c", "\x1c", "\x00", "\x7f",
    "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u200b", "\u3000", "\ufeff", "\ufffd",
    "é", "ß", "İ", "\u017f", "ǅ", "中", "文", "日本", "한국", "ไทย", "नमस्ते", "مرحبا", "e\u0301", "\u0301",
    "½", "²", "Ⅷ", "٣", "五", "\u3007", "\U0001d7d8", "\U0001d400",
    "😀", "👨\u200d👩\u200d👧", "\U0001f3f3\ufe0f\u200d🌈",
    "\u0378", "\ue000", "\U0010ffff", "\ua7da", "\U00010d40", "\U00016d70", "\U00013460", "\U0001e5ff",
]  # fmt: skip
"""Contractions, blanks, digits of many scripts, letters that came with Unicode 16, and what is in none."""
COMMON = "0112 \n'sat.!"
"""Characters that stand beside one another often enough to be merged across the places of a cut."""
ADDED = {
    "<|im_start|>": Kind.CONTROL,
    "<|im_end|>": Kind.CONTROL,
    "<unk>": Kind.UNKNOWN,
    "<tool>": Kind.USER_DEFINED,
    "    ": Kind.USER_DEFINED,
    "<｜x y｜>": Kind.CONTROL,  # noqa: RUF001 - in no byte-level alphabet
    # llama.cpp corrects the types of the next three by their names.
    "<|endoftext|>": Kind.NORMAL,
    "<|fim_prefix|>": Kind.USER_DEFINED,
    "<|message|>": Kind.CONTROL,
    "[PAD1]": Kind.UNUSED,
}
"""Tokens that are not made of bytes, with their types in the file."""


def texts() -> st.SearchStrategy[str]:
    """Texts of such pieces, of tokens spelled out, and of any other characters."""
    piece = st.one_of(
        st.sampled_from([*PIECES, *MISSING, *ADDED]), st.text(COMMON, max_size=8), st.text(max_size=4)
    )
    return st.lists(piece, max_size=30).map("".join)


def random_text(source: random.Random, pieces: list[str], length: int) -> str:
    """So many pieces in a row."""
    return "".join(source.choice(pieces) for _ in range(length))


def vocabulary_fields() -> dict[str, Any]:
    """The keys of a tokenizer but for the name of its cut; the same at each call.

    It is trained on texts that are not cut into words, so that its merges cross all places at which one may
    be cut. Some tokens have lost their merge: a word becomes one only where whole words are looked up.
    """
    source = random.Random(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = BYTES
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=BYTES.alphabet(), max_token_length=8, show_progress=False
    )
    pieces = [*PIECES, *COMMON * 15]
    tokenizer.train_from_iterator((random_text(source, pieces, 40) for _ in range(3000)), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges: list[list[str]] = model["merges"]
    parts = {part for merge in merges for part in merge}
    ends = [merge for merge in merges if "".join(merge) not in parts]
    merges = [merge for merge in merges if merge not in ends[::3]]
    # An apostrophe and a long s are a token by now; this one shows whether a word ends behind them.
    pairs = [*class_pairs(0x80), ("'Å¿", "a")]
    shown = [pair for pair in pairs if "".join(pair) not in model["vocab"]]
    tokens = [*sorted(model["vocab"], key=model["vocab"].get), *map("".join, shown)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [*tokens, *ADDED],
        "tokenizer.ggml.token_type": [Kind.NORMAL] * len(tokens) + list(ADDED.values()),
        "tokenizer.ggml.merges": [" ".join(merge) for merge in (*merges, *shown)],
        "tokenizer.ggml.bos_token_id": len(tokens),
        "tokenizer.ggml.eos_token_id": len(tokens) + 1,
    }


def class_pairs(first: int) -> list[tuple[str, str]]:
    """The last byte of any character from `first` on, and a letter, a number and a symbol behind it.

    Merged, they show whether the character is in one word with what follows, that is, of which class it is.
    """
    # All that such a byte can be is in characters of one byte and of two.
    ends = [BYTES.pre_tokenize_str(chr(point))[0][0][-1] for point in range(first, 0xC0)]
    return [(end, behind) for end in ends for behind in "a1!"]


def with_cut(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The keys with the name of a cut, and where it allows that, no tokens for the bytes of `MISSING`."""
    fields = {**fields, "tokenizer.ggml.pre": name}
    if PRE_TOKENIZERS[name].ignore_merges:
        return fields
    tokens, types = list(fields["tokenizer.ggml.tokens"]), list(fields["tokenizer.ggml.token_type"])
    for character in MISSING:
        place = tokens.index(BYTES.pre_tokenize_str(character)[0][0][0])
        tokens[place], types[place] = f"[no {ord(character)}]", Kind.UNUSED
    return {**fields, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}


def write_vocabulary(file: Path, fields: Mapping[str, Any]) -> None:
    """Write a tiny model with this tokenizer; it begins texts as the name of its cut says."""
    with tempfile.TemporaryDirectory() as folder:
        size = len(fields["tokenizer.ggml.tokens"])
        model = tiny_model(Path(folder), "LlamaForCausalLM", vocab_size=size)
    write_tiny_gguf(file, model, fields={"tokenizer.ggml.add_bos_token": None, **fields})
