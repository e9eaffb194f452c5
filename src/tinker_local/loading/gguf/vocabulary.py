"""The vocabulary of a GGUF file: its tokens, what each of them is to llama.cpp, and the merges."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib.resources import files
from typing import Any

from tokenizers import pre_tokenizers

from tinker_local.errors import StartupError
from tinker_local.loading.gguf.tokenizer_keys import read_list

BYTE_CHARACTERS = frozenset(pre_tokenizers.ByteLevel.alphabet())
"""The 256 characters that stand for bytes in the tokens of a byte-level vocabulary."""


class Kind(IntEnum):
    """What a token is, with the numbers of `tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5


ADDED = (Kind.UNKNOWN, Kind.CONTROL, Kind.USER_DEFINED)
"""The kinds that are looked for in a text before it is cut into words."""

# Where converters have given a token another type, llama.cpp corrects it by its name.
_NAMES: Mapping[str, Any] = tomllib.loads(
    files("tinker_local.loading.gguf").joinpath("token_names.toml").read_text("utf-8")
)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, the kind of each, and the pairs that merge, in the order of their ranks."""

    tokens: Sequence[str]
    kinds: Sequence[Kind]
    merges: Sequence[tuple[str, str]]

    @property
    def ids(self) -> dict[str, int]:
        """The ids of all tokens that a text can become, or that can become text.

        Unused ones are neither: llama.cpp writes them as nothing.
        """
        named = enumerate(zip(self.tokens, self.kinds, strict=True))
        return {token: index for index, (token, kind) in named if kind != Kind.UNUSED}

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The tokens of these kinds, in the order of their ids."""
        return [token for token, kind in zip(self.tokens, self.kinds, strict=True) if kind in kinds]


def read_vocabulary(fields: Mapping[str, Any], source: str) -> Vocabulary:
    """The vocabulary in a GGUF file's metadata, each token of the kind that llama.cpp takes it for.

    Raises StartupError where it is damaged, or holds what could not be read exactly as llama.cpp reads it.
    """
    tokens = read_list(fields, "tokens", str, source)
    if len(set(tokens)) < len(tokens) or "" in tokens:
        raise StartupError(f"{source} holds a token that is empty or given twice; convert it again.")
    vocabulary = Vocabulary(tokens, _kinds(fields, tokens, source), _merges(fields, source))
    _check_merges(vocabulary, source)
    _check_texts(vocabulary, source)
    _check_overlaps(vocabulary.of_kind(*ADDED), source)
    _check_nesting(vocabulary, source)
    return vocabulary


def _kinds(fields: Mapping[str, Any], tokens: Sequence[str], source: str) -> Sequence[Kind]:
    types = read_list(fields, "token_type", int, source)
    if len(types) != len(tokens):
        raise StartupError(
            f"{source} has {len(tokens)} tokens and {len(types)} token types; convert it again."
        )
    known = frozenset(Kind)
    for token, number in zip(tokens, types, strict=True):
        if number not in known:
            raise StartupError(
                f"The token {token!r} of {source} is of type {number}, which is not supported; use the "
                "model's safetensors folder."
            )
    kinds = dict(zip(tokens, map(Kind, types), strict=True))
    other = sorted(kinds.keys() & _NAMES["of_other_formats"])
    if other:
        raise StartupError(
            f"{source} holds the token {other[0]!r} of a chat format that is not supported; use the model's "
            "safetensors folder."
        )
    for token in kinds.keys() & _NAMES["ends"]:
        kinds[token] = Kind.CONTROL
    for mark in _NAMES["fill_in_the_middle"]:
        given = (fields.get(f"tokenizer.ggml.{key}_token_id") for key in mark["keys"])
        if any(isinstance(index, int) and index < len(tokens) for index in given):
            continue
        found = [name for name in mark["names"] if name in kinds]
        if len(found) == 1:
            kinds[found[0]] = Kind.CONTROL
        elif any(kinds[name] != Kind.CONTROL for name in found):
            # Which one llama.cpp takes depends on the order of a hash table.
            raise StartupError(
                f"{source} holds {' and '.join(found)} and does not say which of them is "
                f"tokenizer.ggml.{mark['keys'][0]}_token_id; convert it again."
            )
    for token in kinds.keys() & _NAMES["always_shown"]:
        kinds[token] = Kind.USER_DEFINED
    return list(kinds.values())


def _merges(fields: Mapping[str, Any], source: str) -> Sequence[tuple[str, str]]:
    merges: list[tuple[str, str]] = []
    for merge in read_list(fields, "merges", str, source):
        parts = merge.split(" ")
        if len(parts) != 2:
            raise StartupError(f"{source} has the merge {merge!r}, which is no pair; convert it again.")
        merges.append((parts[0], parts[1]))
    # Of a pair that is given twice the first counts.
    return list(dict.fromkeys(merges))


def _check_merges(vocabulary: Vocabulary, source: str) -> None:
    ids = vocabulary.ids
    for left, right in vocabulary.merges:
        missing = next((token for token in (left, right, left + right) if token not in ids), None)
        if missing is not None:
            raise StartupError(
                f"{source} merges {left!r} and {right!r} and has no token {missing!r}; convert it again."
            )


def _check_texts(vocabulary: Vocabulary, source: str) -> None:
    for token, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True):
        of_bytes = BYTE_CHARACTERS.issuperset(token)
        if kind == Kind.NORMAL and not of_bytes:
            raise StartupError(
                f"The token {token!r} of {source} is not written in the characters of a byte-level "
                "vocabulary; convert it again."
            )
        # tokenizers would write these as the bytes that their characters stand for.
        if kind in ADDED and of_bytes and not token.isascii():
            raise StartupError(
                f"The token {token!r} of {source} could be read as bytes, which is not supported; use the "
                "model's safetensors folder."
            )


def _check_overlaps(tokens: Sequence[str], source: str) -> None:
    """llama.cpp looks for the longest token first, tokenizers for the one that begins first."""
    begun: dict[str, list[str]] = defaultdict(list)
    for token in tokens:
        for length in range(1, len(token)):
            begun[token[:length]].append(token)
    for token in tokens:
        for start in range(1, len(token)):
            other = next((other for other in begun.get(token[start:], ()) if other != token), None)
            if other is not None:
                raise StartupError(
                    f"The tokens {token!r} and {other!r} of {source} can overlap in a text, which is not "
                    "supported; use the model's safetensors folder."
                )


def _check_nesting(vocabulary: Vocabulary, source: str) -> None:
    """In a text whose control tokens are read as plain text, tokenizers passes over the whole of each."""
    shown = vocabulary.of_kind(Kind.USER_DEFINED)
    for control in vocabulary.of_kind(Kind.UNKNOWN, Kind.CONTROL):
        inside = next((token for token in shown if token in control), None)
        if inside is not None:
            raise StartupError(
                f"The control token {control!r} of {source} has the token {inside!r} inside, which is not "
                "supported; use the model's safetensors folder."
            )
