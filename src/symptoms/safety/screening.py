"""The crisis screen: rules find signs of danger now, exceptions excuse those that mean something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from symptoms.safety.patterns import CLAUSE_END, SENTENCE_END, Automaton, Match, parse
from symptoms.safety.rulebook import Category, ExceptionRule, Reach, RuleBook
from symptoms.safety.words import build_lexicon, words_of

# What may stand between the items of a list that one negation excuses: "no thoughts of suicide, self-harm or ...".
LIST_WORDS = frozenset([CLAUSE_END, "or", "nor", "and", "of", "to", "about", "any", "thoughts", "even", "ideation", "intent", "plans"])
LIST_GAP = 4

Cue: TypeAlias = tuple[int, str]


@dataclass(frozen=True)
class Screening:
    """What a text says about danger now. `rule` names the rule that matched, for review, never the text."""

    crisis: bool
    category: Category | None = None
    rule: str | None = None


class Screen:
    """A rule book made ready. It holds no state: the same text gives the same screening, always."""

    def __init__(self, book: RuleBook) -> None:
        self._rules = book.rules
        self._exceptions = book.exceptions
        words = book.words
        self._dangers = Automaton(
            ((at, parse(phrase, words.lists)) for at, rule in enumerate(book.rules) for phrase in rule.patterns),
            through_clauses=True,
        )
        self._cues = Automaton(
            (
                ((at, part), parse(phrase, words.lists))
                for at, exception in enumerate(book.exceptions)
                for part in ("patterns", "also", "unless")
                for phrase in getattr(exception, part)
            ),
            through_clauses=False,
        )
        self._lexicon = build_lexicon(self._dangers.vocabulary | self._cues.vocabulary, words)

    def screen(self, text: str) -> Screening:
        """The most urgent danger in the text, by the first rule that found it."""
        words = words_of(text, self._lexicon)
        dangers = _outermost(self._dangers.scan(words))
        if dangers:
            dangers = self._unexcused(dangers, words)
        if not dangers:
            return Screening(crisis=False)
        urgency = list(Category)
        rule = min((self._rules[match.label] for match in dangers), key=lambda rule: urgency.index(rule.category))
        return Screening(crisis=True, category=rule.category, rule=rule.id)

    def _unexcused(self, dangers: list[Match[int]], words: Sequence[str]) -> list[Match[int]]:
        sentence = list(accumulate(word == SENTENCE_END for word in words))
        cues: dict[Cue, list[Match[Cue]]] = defaultdict(list)
        for match in self._cues.scan(words):
            cues[match.label].append(match)
        excused = [(rule, _excused_places(at, rule, cues, sentence)) for at, rule in enumerate(self._exceptions)]
        excused = [(rule, places) for rule, places in excused if places]
        left: list[Match[int]] = []
        list_end: int | None = None
        for match in dangers:
            rule = self._rules[match.label]
            excuses = [
                exception.reach
                for exception, places in excused
                if _place(match, exception.reach, sentence) in places and rule.id.startswith(exception.only)
            ]
            if excuses:
                list_end = match.end if Reach.NEXT in excuses else None
            elif list_end is not None and _is_next_of_list(words, list_end, match.start):
                list_end = match.end
            else:
                left.append(match)
                list_end = None
        return left


def _outermost(matches: list[Match[int]]) -> list[Match[int]]:
    """The matches that lie in no longer one, which says more: `my brother is suicidal` and not `suicidal`."""
    outermost: list[Match[int]] = []
    for match in sorted(matches, key=lambda match: (match.start, -match.end, match.label)):
        last = outermost[-1] if outermost else None
        if last is None or match.end > last.end or (match.start, match.end) == (last.start, last.end):
            outermost.append(match)
    return outermost


def _place(match: Match[int], reach: Reach, sentence: Sequence[int]) -> int:
    """What of a sign of danger must lie in the places that an exception of this reach excuses."""
    if reach is Reach.PHRASE:
        return match.end
    return match.start if reach is Reach.NEXT else sentence[match.start]


def _excused_places(
    at: int, exception: ExceptionRule, cues: dict[Cue, list[Match[Cue]]], sentence: Sequence[int]
) -> set[int]:
    """Positions of words, or numbers of sentences for the reaches "sentence" and "text"."""
    found = cues.get((at, "patterns"), [])
    unless = {sentence[match.start] for match in cues.get((at, "unless"), ())}
    also = {sentence[match.start] for match in cues.get((at, "also"), ())}
    if exception.reach is Reach.TEXT:
        if unless or (exception.also and not also):
            return set()
        return {sentence[match.start] + beside for match in found for beside in (-1, 0, 1)}
    found = [match for match in found if sentence[match.start] not in unless]
    if exception.also:
        found = [match for match in found if sentence[match.start] in also]
    if exception.reach is Reach.SENTENCE:
        return {sentence[match.start] for match in found}
    if exception.reach is Reach.NEXT:
        return {match.end + 1 for match in found}
    return {place for match in found for place in range(match.start, match.end + 1)}


def _is_next_of_list(words: Sequence[str], end: int, start: int) -> bool:
    return start - end - 1 <= LIST_GAP and LIST_WORDS.issuperset(words[end + 1 : start])
