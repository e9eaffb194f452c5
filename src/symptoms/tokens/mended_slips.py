"""Slips of the keyboard put right before a model reads a text: `sturggling` is read as `struggling`.

A small model reads a misspelt word as three or four pieces that mean nothing. A word that neither the
training set nor the tokenizer knows as one is taken for the training set's only word that one slip turns
into it: two letters exchanged, or the key beside the right one. Both keep the text's length, so that a place
in what was read is the same place in what was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from symptoms.data.misspelling.keyboard import keys_beside
from symptoms.tokens.example_tokens import Tokenizer

SHORTEST_SLIP = 5
"""Letters of a word that may be mended; shorter ones are one slip from many others."""

_LETTERS_ALONE = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class SlipMender:
    """What puts slips right. `words` are those of the training set, in small letters."""

    words: frozenset[str]
    tokenizer: Tokenizer

    @classmethod
    def of(cls, terms: Iterable[str], tokenizer: Tokenizer) -> SlipMender:
        """Of the training set's terms, among which the single words count."""
        words = frozenset(term for term in terms if term.isascii() and term.isalpha())
        return cls(words, tokenizer)

    def mended(self, text: str) -> str:
        """The text with slips put right, of the same length."""
        return _LETTERS_ALONE.sub(lambda found: self._mended(found.group()), text)

    def _mended(self, written: str) -> str:
        word = written.lower()
        if len(word) < SHORTEST_SLIP or word in self.words:
            return written
        meant = {near for near in _one_slip_away(word) if near in self.words}
        if len(meant) != 1 or self._is_one_token(word):
            return written
        [right] = meant
        return "".join(new.upper() if old.isupper() else new for old, new in zip(written, right, strict=True))

    def _is_one_token(self, word: str) -> bool:
        """Whether the tokenizer has the word whole, which it has of those that are common."""
        found = self.tokenizer.encode(f" {word}", add_special_tokens=False, split_special_tokens=True)
        return len(found) == 1


def _one_slip_away(word: str) -> Iterator[str]:
    for place in range(len(word) - 1):
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    for place, letter in enumerate(word):
        for key in keys_beside(letter):
            yield word[:place] + key + word[place + 1 :]
