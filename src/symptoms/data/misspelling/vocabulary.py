"""Misspelt words read as what was meant, since nothing that was learned has a weight for `evrything`.

A word that no text had which was learned from is read as the common one of those texts that a single
slip turned into it: a letter too few, one too many, two exchanged, or in place of one that beside it on the
keyboard, or a vowel in place of another. What is known stays as it is. Letters written twice are one before
this (`squeezed`). Only English has enough texts here to tell a slip from a word that is merely rare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase

from symptoms.data.misspelling.keyboard import keys_beside

SHORTEST_MENDED = 4
"""Letters of a word that may be mended; shorter ones are one slip from many others."""
COMMON = 1
"""Power of two from which a word is common: 2 times in the texts or more."""
VOWELS = "aeiouy"
LEAD = 3
"""Powers of two by which one word has to be more frequent than all others that are as near."""
MOST_UNKNOWN = 40
"""Unknown words of a text that are looked up, so that a text of nothing else takes little time, too."""


@dataclass(frozen=True)
class Vocabulary:
    """`frequency` has for each known word the power of two up to which it was counted: 0 for once."""

    frequency: dict[str, int]

    @classmethod
    def counted(cls, english: Iterable[str], others: Iterable[str]) -> Vocabulary:
        """Of the tokens of English texts; those of `others` are known, and nothing is read as one of them."""
        counts = Counter(token for token in english if token.isalpha())
        known = dict.fromkeys((token for token in others if token.isalpha()), 0)
        return cls(known | {token: count.bit_length() - 1 for token, count in counts.items()})

    def mended(self, tokens: Sequence[str]) -> list[str]:
        """The tokens of an English text, misspelt ones as what was meant where that is plain."""
        unknown = [token for token in dict.fromkeys(tokens) if self._may_be_misspelt(token)]
        meant = {token: self._meant(token) for token in unknown[:MOST_UNKNOWN]}
        return [meant.get(token, token) for token in tokens] if meant else list(tokens)

    def _may_be_misspelt(self, token: str) -> bool:
        return (
            token not in self.frequency
            and len(token) >= SHORTEST_MENDED
            and token.isascii()
            and token.isalpha()
        )

    def _meant(self, token: str) -> str:
        near = {
            word: frequency
            for word in one_slip_away(token)
            if (frequency := self.frequency.get(word, 0)) >= COMMON and len(word) >= SHORTEST_MENDED
        }
        if not near:
            return token
        best, *others = sorted(near, key=lambda word: (-near[word], word))
        return best if not others or near[best] >= near[others[0]] + LEAD else token

    def to_text(self) -> str:
        """A line a frequency from 0 on, its words in order; `from_text` reads it."""
        lines: list[list[str]] = [[] for _ in range(max(self.frequency.values(), default=0) + 1)]
        for word, frequency in sorted(self.frequency.items()):
            lines[frequency].append(word)
        return "\n".join(" ".join(line) for line in lines)

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_text` wrote."""
        return cls({word: number for number, line in enumerate(text.split("\n")) for word in line.split()})


def one_slip_away(word: str) -> Iterator[str]:
    """The words from a to z that a single slip may have turned into this one; some come twice."""
    for at in range(len(word) + 1):
        before, after = word[:at], word[at:]
        for letter in ascii_lowercase:
            yield before + letter + after
        if not after:
            return
        yield before + after[1:]
        yield before + after[1:2] + after[0] + after[2:]
        for letter in _written_for(after[0]):
            yield before + letter + after[1:]


@cache
def _written_for(letter: str) -> frozenset[str]:
    """The keys beside a letter's, and of a vowel the other vowels."""
    return frozenset([*keys_beside(letter), *(VOWELS if letter in VOWELS else "")])
