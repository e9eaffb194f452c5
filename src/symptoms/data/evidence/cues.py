"""The words of a text that bear a symptom term out, found by hand-written cues.

A cue is words that follow one another:

    can't|cannot|couldn't sleep     alternatives for one word
    heart * racing                  `*`: up to three more words in between
    worri~ about                    a trailing `~`: any ending (worried, worries)

Case and apostrophes do not count (`cant` is `can't`), a hyphen separates words, and a cue never runs across
the end of a sentence. A term's own words, with any ending and in their order, are always a cue of it, so a
term that no cues were written for is looked up too. A cue without a negation of its own does not count where
one of the three words before it in the same clause is a negation (`no panic`, `never had nightmares`).

What a reader of symptoms has learnt from, and what is shown as evidence, are two lists. The first,
`taxonomy/symptom_cues.json`, also has words that merely go with a term (`washed` with compulsive washing),
and models that were fitted hold for it as it is. The second, `taxonomy/evidence_cues.json`, is what is left
of it without words that are annotated with the term in less than 6% of the training texts they stand in, and
without those read to be of other matters; more may be added to it. What another person does is not shown
(`whose`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from symptoms.data.evidence.placed_words import (
    LONGEST_STEM,
    SHORTEST_STEM,
    WORD,
    Span,
    TextWords,
    placed_words,
    plain,
)
from symptoms.data.evidence.whose import is_of_another, speaks_of_self
from symptoms.packaged import packaged_words
from symptoms.taxonomy import evidence_cues, symptom_cues

LONGEST_GAP = 3
NEGATION_REACH = 3

OF_OTHERS = frozenset(
    {"identifiable stressor", "recent traumatic event", "needing a companion", "fear of abandonment"}
    | {"difficulty accepting the loss", "difficulty discarding"}
)
"""Symptoms of the writer that are told by what others do."""
_WORDS = packaged_words(__package__, "cues.toml")
_NEGATIONS, _KEEPS_MEANING = _WORDS["negations"], _WORDS["keeps_meaning"]
_ENDINGS = re.compile(r"(?:fulness|ness|iveness|ation|ance|ence|ing|ity|ies|ied|ed|es|s|y|e)$")


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


def cued_terms(text: str, terms: Iterable[str]) -> frozenset[str]:
    """Those of `terms` with a cue in `text`, however little it says: what a reader has learnt from.

    Models that were fitted hold for these cues alone, so that other cues need another fit.
    """
    read = placed_words(text)
    index = _index_of_all(tuple(terms))
    found: set[str] = set()
    # A text has fewer words than hundreds of terms have cues, so the words are what is looked up.
    for form, places in read.places.items():
        for term, cues in index.get(form, ()):
            if term not in found and any(_matches_at(read, places, cues)):
                found.add(term)
    return frozenset(found)


def supported_terms(text: str, terms: Iterable[str]) -> frozenset[str]:
    """Those of `terms` that anything in `text` bears out."""
    read = placed_words(text)
    return frozenset(term for term in terms if evidence(read, term))


def evidence(text: TextWords, term: str) -> tuple[Span, ...]:
    """The places of a text that bear `term` out, in order and apart; empty where none does."""
    matches = _matches(text, _index(term, True))
    if matches and term not in OF_OTHERS and speaks_of_self(text):
        matches = {(start, end) for start, end in matches if not is_of_another(text, start, end)}
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


def _matches(text: TextWords, index: Mapping[str, Sequence[_Cue]]) -> set[tuple[int, int]]:
    """The first word of each match of a cue, and the one after its last."""
    return {
        match for form, cues in index.items() for match in _matches_at(text, text.places.get(form, ()), cues)
    }


def _matches_at(text: TextWords, places: Sequence[int], cues: Sequence[_Cue]) -> Iterator[tuple[int, int]]:
    """The matches of cues whose longest element stands at one of these places."""
    for place in places:
        for cue in cues:
            for start in range(max(0, place - cue.reach), place + 1):
                end = _end(text, start, cue)
                if end is not None and (cue.negative or not _negated(text, start)):
                    yield start, end


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


@lru_cache(maxsize=2048)
def _index(term: str, shown: bool) -> Mapping[str, Sequence[_Cue]]:
    """The cues of a term by each form (word, or stem with `~`) of the longest of their elements.

    `shown` are those that may be shown as evidence.
    """
    index: dict[str, list[_Cue]] = {}
    cues = (evidence_cues() if shown else symptom_cues()).get(term, ())
    for cue in (*cues, own_words(term)):
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


@lru_cache(maxsize=8)
def _index_of_all(terms: tuple[str, ...]) -> Mapping[str, Sequence[tuple[str, Sequence[_Cue]]]]:
    """The cues that a reader has learnt from, by the same forms, each with the term that it is of."""
    index: dict[str, list[tuple[str, Sequence[_Cue]]]] = {}
    for term in terms:
        for form, cues in _index(term, False).items():
            index.setdefault(form, []).append((term, cues))
    return index


def _elements(cue: str) -> tuple[_Element, ...]:
    elements: list[_Element] = []
    after_gap = False
    for part in cue.split():
        if part == "*":
            after_gap = bool(elements)
            continue
        forms = [plain(form) for form in part.split("|")]
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
    words = [plain(found.group()) for found in WORD.finditer(term)]
    kept = [word for word in words if word not in _WORDS["function_words"]] or words
    return " * ".join(_stem(word) for word in kept)


def _stem(word: str) -> str:
    stem = _ENDINGS.sub("", word)[:LONGEST_STEM]
    return stem + "~" if len(stem) > SHORTEST_STEM else word
