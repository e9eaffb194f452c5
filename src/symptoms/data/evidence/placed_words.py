"""The words of a text, and in which sentence and clause each stands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Stems outside of these lengths would match too much, or make long words slow to look up.
SHORTEST_STEM, LONGEST_STEM = 3, 12
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")

_SENTENCE_END = re.compile(r"[.!?;\n]")
_CLAUSE_END = re.compile(r"[,:()\u2013\u2014]|\s-|-\s")


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text."""

    start: int
    end: int


@dataclass(frozen=True)
class TextWords:
    """The words of a text, in small letters and without apostrophes, with their places in it."""

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    sentences: tuple[int, ...]  # The number of the sentence, and of the clause, that each word is in.
    clauses: tuple[int, ...]
    places: Mapping[str, Sequence[int]]  # Where each word, and each stem with `~`, stands.


def placed_words(text: str) -> TextWords:
    """The words of a text, and in which sentence and clause each stands."""
    words: list[str] = []
    spans: list[Span] = []
    sentences: list[int] = []
    clauses: list[int] = []
    places: dict[str, list[int]] = {}
    sentence = clause = end = 0
    for found in WORD.finditer(text):
        between = text[end : found.start()]
        if _SENTENCE_END.search(between):
            sentence += 1
            clause += 1
        elif _CLAUSE_END.search(between):
            clause += 1
        end = found.end()
        word = plain(found.group())
        for length in range(SHORTEST_STEM, min(len(word), LONGEST_STEM) + 1):
            places.setdefault(word[:length] + "~", []).append(len(words))
        places.setdefault(word, []).append(len(words))
        words.append(word)
        spans.append(Span(found.start(), end))
        sentences.append(sentence)
        clauses.append(clause)
    return TextWords(tuple(words), tuple(spans), tuple(sentences), tuple(clauses), places)


def plain(word: str) -> str:
    """A word as cues are compared with it: in small letters, without apostrophes."""
    return word.lower().replace("'", "").replace("\u2019", "")
