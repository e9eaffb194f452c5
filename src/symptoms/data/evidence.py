"""The words of a text that bear a symptom term out, found by hand-written cues.

The cues of a term stand in `taxonomy/symptom_cues.json`. A cue is words that follow one another:

    can't|cannot|couldn't sleep     alternatives for one word
    heart * racing                  `*`: up to three more words in between
    worri~ about                    a trailing `~`: any ending (worried, worries)

Case and apostrophes do not count (`cant` is `can't`), a hyphen separates words, and a cue never runs across
the end of a sentence. A term's own words, with any ending and in their order, are always a cue of it, so a
term that no cues were written for is looked up too. A cue without a negation of its own does not count where
one of the three words before it in the same clause is a negation (`no panic`, `never had nightmares`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from symptoms.taxonomy import symptom_cues

LONGEST_GAP = 3
NEGATION_REACH = 3
# Stems outside of these lengths would match too much, or make long words slow to look up.
SHORTEST_STEM, LONGEST_STEM = 3, 12

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?;\n]")
_CLAUSE_END = re.compile(r"[,:()\u2013\u2014]|\s-|-\s")
_NEGATIONS = frozenset(
    {"no", "not", "never", "none", "nor", "neither", "cannot", "cant", "couldnt", "dont", "didnt", "doesnt"}
    | {"isnt", "arent", "wasnt", "werent", "havent", "hasnt", "hadnt", "wont", "wouldnt", "shouldnt", "aint"}
)
# What follows these is asserted after all: "can't stop crying", "not just tired", "no wonder I cry".
_KEEPS_MEANING = frozenset(
    {"stop", "stopped", "help", "only", "just", "bear", "shake", "cope", "idea", "wonder"}
)
_FUNCTION_WORDS = frozenset(
    {"a", "an", "and", "another", "about", "as", "at", "for", "from", "in", "of", "on", "or", "the", "to"}
)
_ENDINGS = re.compile(r"(?:fulness|ness|iveness|ation|ance|ence|ing|ity|ies|ied|ed|es|s|y|e)$")


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text."""

    start: int
    end: int


@dataclass(frozen=True)
class _Element:
    words: frozenset[str]
    stems: tuple[str, ...]
    after_gap: bool

    def matches(self, word: str) -> bool:
        return word in self.words or (self.stems != () and word.startswith(self.stems))


@dataclass(frozen=True)
class _Cue:
    elements: tuple[_Element, ...]
    reach: int  # The most words that stand before the one it is looked up by.
    negative: bool


@dataclass(frozen=True)
class TextWords:
    """The words of a text, in small letters and without apostrophes, with their places in it."""

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    sentences: tuple[int, ...]  # The number of the sentence, and of the clause, that each word is in.
    clauses: tuple[int, ...]
    places: Mapping[str, Sequence[int]]  # Where each word, and each stem with `~`, stands.


def supported_terms(text: str, terms: Iterable[str]) -> frozenset[str]:
    """Those of `terms` that anything in `text` bears out."""
    read = words_of(text)
    return frozenset(term for term in terms if evidence(read, term))


def evidence(text: TextWords, term: str) -> tuple[Span, ...]:
    """The places of a text that bear `term` out, in order and apart; empty where none does."""
    matches: set[tuple[int, int]] = set()
    for key, cues in _index(term).items():
        for place in text.places.get(key, ()):
            for cue in cues:
                for start in range(max(0, place - cue.reach), place + 1):
                    end = _end(text, start, cue)
                    if end is not None and (cue.negative or not _negated(text, start)):
                        matches.add((start, end))
    spans: list[Span] = []
    reached = 0
    for start, end in sorted(matches):
        first = text.spans[start].start
        last = text.spans[end - 1].end
        if start < reached:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, last))
        else:
            spans.append(Span(first, last))
        reached = max(reached, end)
    return tuple(spans)


def _end(text: TextWords, start: int, cue: _Cue) -> int | None:
    """The word after the shortest match of the cue that begins at word `start`; linear in its length."""
    sentence = text.sentences[start]
    nexts = {start}
    for element in cue.elements:
        if element.after_gap:
            nexts = {place + skipped for place in nexts for skipped in range(LONGEST_GAP + 1)}
        nexts = {
            place + 1
            for place in nexts
            if place < len(text.words)
            and text.sentences[place] == sentence
            and element.matches(text.words[place])
        }
        if not nexts:
            return None
    return min(nexts)


def _negated(text: TextWords, start: int) -> bool:
    for place in range(start - 1, max(-1, start - 1 - NEGATION_REACH), -1):
        if text.clauses[place] != text.clauses[start] or text.words[place] == "but":
            return False
        if text.words[place] in _NEGATIONS and text.words[place + 1] not in _KEEPS_MEANING:
            return True
    return False


def words_of(text: str) -> TextWords:
    """The words of a text, and in which sentence and clause each stands."""
    words: list[str] = []
    spans: list[Span] = []
    sentences: list[int] = []
    clauses: list[int] = []
    places: dict[str, list[int]] = {}
    sentence = clause = end = 0
    for found in _WORD.finditer(text):
        between = text[end : found.start()]
        if _SENTENCE_END.search(between):
            sentence += 1
            clause += 1
        elif _CLAUSE_END.search(between):
            clause += 1
        end = found.end()
        word = _plain(found.group())
        for length in range(SHORTEST_STEM, min(len(word), LONGEST_STEM) + 1):
            places.setdefault(word[:length] + "~", []).append(len(words))
        places.setdefault(word, []).append(len(words))
        words.append(word)
        spans.append(Span(found.start(), end))
        sentences.append(sentence)
        clauses.append(clause)
    return TextWords(tuple(words), tuple(spans), tuple(sentences), tuple(clauses), places)


def _plain(word: str) -> str:
    return word.lower().replace("'", "").replace("\u2019", "")


@lru_cache(maxsize=1024)
def _index(term: str) -> Mapping[str, Sequence[_Cue]]:
    """The cues of a term by each form (word, or stem with `~`) of the longest of their elements."""
    index: dict[str, list[_Cue]] = {}
    for cue in (*symptom_cues().get(term, ()), own_words(term)):
        elements = _elements(cue)
        if not elements:
            continue
        anchor = max(range(len(elements)), key=lambda place: min(map(len, _forms(elements[place]))))
        gaps = sum(element.after_gap for element in elements[: anchor + 1])
        negative = any(element.words & _NEGATIONS for element in elements)
        compiled = _Cue(elements, anchor + LONGEST_GAP * gaps, negative)
        for form in _forms(elements[anchor]):
            index.setdefault(form, []).append(compiled)
    return index


def _elements(cue: str) -> tuple[_Element, ...]:
    elements: list[_Element] = []
    after_gap = False
    for part in cue.split():
        if part == "*":
            after_gap = bool(elements)
            continue
        forms = [_plain(form) for form in part.split("|")]
        stems = tuple(form[:-1] for form in forms if form.endswith("~"))
        words = frozenset(form for form in forms if not form.endswith("~"))
        elements.append(_Element(words, stems, after_gap))
        after_gap = False
    return tuple(elements)


def _forms(element: _Element) -> tuple[str, ...]:
    return (*sorted(element.words), *(stem + "~" for stem in element.stems))


def cue_forms(terms: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The words of the terms' cues, and the stems to which any ending belongs; without apostrophes."""
    cues = (cue for term in terms for cue in (*symptom_cues().get(term, ()), own_words(term)))
    elements = [element for cue in cues for element in _elements(cue)]
    words = (word for element in elements for word in element.words)
    return frozenset(words), frozenset(stem for element in elements for stem in element.stems)


def own_words(term: str) -> str:
    """The cue that a term is by itself: its words but for `of`, `the` and the like, with any ending."""
    words = [_plain(found.group()) for found in _WORD.finditer(term)]
    kept = [word for word in words if word not in _FUNCTION_WORDS] or words
    return " * ".join(_stem(word) for word in kept)


def _stem(word: str) -> str:
    stem = _ENDINGS.sub("", word)[:LONGEST_STEM]
    return stem + "~" if len(stem) > SHORTEST_STEM else word
