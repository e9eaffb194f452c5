"""Misspelt words read as the words that symptoms are known by: `slep` as `sleep`, `hopless` as `hopeless`.

A symptom is named by cues and words, and a misspelt word is neither. Of a word that is not one of them, and
is spelt as none (letters written twice aside), that one is meant which a single slip turned into it, unless
another common word is as near. What was found in the text so read is shown as it was written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symptoms.data import Span, cue_forms
from symptoms.data.misspelling.vocabulary import (
    COMMON,
    LEAD,
    MOST_UNKNOWN,
    SHORTEST_MENDED,
    Vocabulary,
    one_slip_away,
)
from symptoms.safety import ENGLISH, known_words, language_other_than, squeezed

_ENGLISH_WORD = re.compile(r"(?<![\w'\u2019])[A-Za-z]+(?![\w'\u2019])")


@dataclass(frozen=True)
class SpeltText:
    """A text with its misspelt words as they were meant.

    `mended` are the places of these words in `text`, and `written` those in what was written, both in order.
    """

    text: str
    mended: tuple[Span, ...] = ()
    written: tuple[Span, ...] = ()

    def as_written(self, span: Span) -> Span:
        """The place in what was written of a place in `text`; a mended word is whole or not in it."""
        return Span(self._start_of(span.start), self._end_of(span.end))

    def _start_of(self, place: int) -> int:
        number = bisect_right([one.start for one in self.mended], place) - 1
        if number < 0:
            return place
        mended, written = self.mended[number], self.written[number]
        return written.start if place < mended.end else place + written.end - mended.end

    def _end_of(self, place: int) -> int:
        number = bisect_right([one.start for one in self.mended], place - 1) - 1
        if number < 0:
            return place
        mended, written = self.mended[number], self.written[number]
        return written.end if place <= mended.end else place + written.end - mended.end


@dataclass(frozen=True)
class Speller:
    """`words` and `stems` are those that symptoms are known by, `known` all words that are known to be right.

    `spellings` has the words by their letters, those written twice once.
    """

    words: frozenset[str]
    stems: tuple[str, ...]
    known: Vocabulary
    spellings: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, terms: Iterable[str], learned: Iterable[str] = ()) -> Speller:
        """Of the cues of terms, and of words that were learned from texts."""
        cued, stems = cue_forms(terms)
        words = frozenset(
            word
            for word in (*cued, *learned)
            if len(word) >= SHORTEST_MENDED and word.isascii() and word.isalpha()
        )
        by_letters: dict[str, list[str]] = defaultdict(list)
        for word in sorted(words):
            by_letters[squeezed(word)].append(word)
        spellings = {letters: tuple(found) for letters, found in by_letters.items()}
        return cls(words, tuple(sorted(stems)), known_words(), spellings)

    def spelt(self, text: str) -> SpeltText:
        """The text as it was meant; one that is clearly not in English as it is."""
        found = [word for word in _ENGLISH_WORD.finditer(text) if self._may_be_misspelt(word.group().lower())]
        unknown = list(dict.fromkeys(word.group().lower() for word in found))[:MOST_UNKNOWN]
        meant = {word: right for word in unknown if (right := self._meant(word)) is not None}
        if not meant or language_other_than(text, {ENGLISH.name}) is not None:
            return SpeltText(text)
        parts: list[str] = []
        mended: list[Span] = []
        written: list[Span] = []
        read = done = 0
        for word in found:
            right = meant.get(word.group().lower())
            if right is None:
                continue
            between = text[done : word.start()]
            parts += [between, right]
            read += len(between)
            mended.append(Span(read, read + len(right)))
            written.append(Span(word.start(), word.end()))
            read, done = read + len(right), word.end()
        return SpeltText("".join([*parts, text[done:]]), tuple(mended), tuple(written))

    def _may_be_misspelt(self, word: str) -> bool:
        return len(word) >= SHORTEST_MENDED and word not in self.words

    def _meant(self, word: str) -> str | None:
        letters = squeezed(word)
        doubled = self.spellings.get(letters, ())
        if doubled:
            return doubled[0] if len(doubled) == 1 else None
        if letters in self.known.frequency:
            return None
        near: dict[str, set[str]] = defaultdict(set)
        for other in one_slip_away(word):
            if len(other) >= SHORTEST_MENDED and other + "s" != word and self._is_common(other):
                near[squeezed(other)].add(other)
        if not near:
            return None
        best, *others = sorted(near, key=lambda one: (-self.known.frequency[one], one))
        if others and self.known.frequency[best] < self.known.frequency[others[0]] + LEAD:
            return None
        right = [other for other in near[best] if other in self.words or other.startswith(self.stems)]
        return right[0] if len(right) == 1 else None

    def _is_common(self, word: str) -> bool:
        """Whether it is known by its letters, and spelt so where its spelling is known."""
        letters = squeezed(word)
        spelt = self.spellings.get(letters, (word,))
        return word in spelt and self.known.frequency.get(letters, 0) >= COMMON
