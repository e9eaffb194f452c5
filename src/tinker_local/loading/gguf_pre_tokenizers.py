r"""How the byte-level tokenizers of GGUF files cut a text into words, by the name in `tokenizer.ggml.pre`.

The patterns are those of llama.cpp (src/llama-vocab.cpp and src/unicode.cpp), which the converter's names stand
for. Contractions are spelled out in both cases as it does: `(?i:'s)` would also take the long s of U+017F.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Regex, pre_tokenizers

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_REST}"


@dataclass(frozen=True)
class PreTokenizer:
    """The patterns that cut a text one after another, each the pieces that the one before it left."""

    patterns: tuple[str, ...]
    ignore_merges: bool = False
    """Whether a word that is a token as a whole becomes it, whatever the merges would make of it."""
    add_bos: bool = False
    """Whether a text begins with the bos token where the file does not say."""


_GPT2_WORDS = PreTokenizer((_GPT2,))
_SMOLLM_WORDS = PreTokenizer((r"\p{N}", _GPT2))
_LLAMA3_WORDS = PreTokenizer((_LLAMA3,), ignore_merges=True, add_bos=True)
_QWEN2_WORDS = PreTokenizer((_QWEN2,))

PRE_TOKENIZERS: Mapping[str, PreTokenizer] = {
    "gpt-2": _GPT2_WORDS,
    "smollm": _SMOLLM_WORDS,
    "llama-bpe": _LLAMA3_WORDS,
    "llama3": _LLAMA3_WORDS,
    "llama-v3": _LLAMA3_WORDS,
    "falcon3": _LLAMA3_WORDS,
    "qwen2": _QWEN2_WORDS,
    "deepseek-r1-qwen": _QWEN2_WORDS,
    "megrez": _QWEN2_WORDS,
}
"""What is supported; several names stand for the same cut, as they do in llama.cpp."""


def build_pre_tokenizer(words: PreTokenizer, missing_bytes: str) -> pre_tokenizers.PreTokenizer:
    """The cut into words, each then written with one character for each of its bytes.

    `missing_bytes` holds the characters of bytes for which the vocabulary has no token. They are dropped, and
    what stood on their two sides is not merged.
    """
    cuts: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in words.patterns
    ]
    cuts.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    if missing_bytes:
        cuts.append(pre_tokenizers.Split(Regex(f"[{missing_bytes}]"), "removed"))
    return pre_tokenizers.Sequence(cuts)
