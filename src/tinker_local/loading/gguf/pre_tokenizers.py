r"""How the byte-level tokenizers of GGUF files cut a text into words, by the name in `tokenizer.ggml.pre`.

The patterns are those of llama.cpp (src/llama-vocab.cpp and src/unicode.cpp), for which such a name stands.
They differ from those of the original tokenizers in what few texts show: contractions are spelled out in both
cases, where `(?i:'s)` would take the long s of U+017F as well, and the newest letters count as symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Regex, pre_tokenizers

_NEWER = (
    r"\x{1C89}\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D40}-\x{10D65}"
    r"\x{10D6F}-\x{10D85}\x{10EC2}-\x{10EC4}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}"
    r"\x{113B7}\x{113D1}\x{113D3}\x{116D0}-\x{116E3}\x{11BC0}-\x{11BE0}\x{11BF0}-\x{11BF9}"
    r"\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16130}-\x{16139}\x{16D40}-\x{16D6C}\x{16D70}-\x{16D79}"
    r"\x{18CFF}\x{1CCF0}-\x{1CCF9}\x{1E5D0}-\x{1E5ED}\x{1E5F0}-\x{1E5FA}"
)
"""The letters and numbers that came with Unicode 16, which tokenizers knows and llama.cpp's tables do not."""

_LETTER = rf"[\p{{L}}&&[^{_NEWER}]]"
_NUMBER = rf"[\p{{N}}&&[^{_NEWER}]]"
_SYMBOL = rf"[[^\s\p{{L}}\p{{N}}]{_NEWER}]"
_BEFORE_LETTERS = rf"[[^\r\n\p{{L}}\p{{N}}]{_NEWER}]"
_EITHER_CASE = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"

_GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?{_LETTER}+| ?{_NUMBER}+| ?{_SYMBOL}+|\s+(?!\S)|\s+"
_LLAMA3 = (
    rf"{_EITHER_CASE}|{_BEFORE_LETTERS}?{_LETTER}+|{_NUMBER}{{1,3}}"
    rf"| ?{_SYMBOL}+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(rf"{_NUMBER}{{1,3}}", _NUMBER)


@dataclass(frozen=True)
class PreTokenizer:
    """How a text is cut into words, and what else the name of a cut stands for."""

    patterns: tuple[str, ...]
    """Applied one after another, each to the pieces that the one before it left."""
    ignore_merges: bool = False
    """Whether a word that is a token as a whole becomes it, whatever the merges would make of it."""
    add_bos: bool = False
    """Whether a text begins with the bos token where the file does not say."""


_GPT2_WORDS = PreTokenizer((_GPT2,))
_SMOLLM_WORDS = PreTokenizer((_NUMBER, _GPT2))
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
"""What is supported. Several names stand for the same cut, as they do in llama.cpp."""


def build_pre_tokenizer(words: PreTokenizer, missing_bytes: str) -> pre_tokenizers.PreTokenizer:
    """The cut into words, each then written with one character for each of its bytes.

    `missing_bytes` holds the characters of the bytes for which the vocabulary has no token. They are dropped,
    and what stood on their two sides is not merged.
    """
    cuts: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in words.patterns
    ]
    cuts.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    if missing_bytes:
        cuts.append(pre_tokenizers.Split(Regex(f"[{missing_bytes}]"), "removed"))
    return pre_tokenizers.Sequence(cuts)
