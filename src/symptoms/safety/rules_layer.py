"""The readable layer: rules find signs of danger now, exceptions excuse those that mean something else."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TypeAlias

from symptoms.safety.patterns import CLAUSE_END, SENTENCE_END, Automaton, Match, parse
from symptoms.safety.rulebook import Category, DangerRule, Reach, RuleBook, read_rule_book
from symptoms.safety.text.normalising import normalised
from symptoms.safety.text.words import build_lexicon, words_for_rules

# What may stand between the items of a list that one negation excuses: "no thoughts of suicide, self-harm".
_LIST = "or nor and of to about any thoughts even ideation intent plans"
LIST_WORDS = frozenset([CLAUSE_END, *_LIST.split()])
LIST_GAP = 4
NEAR_WORDS = 8
ONWARD_WORDS = 20
# Where the past ends and the present begins.
TURNS = frozenset(["but", "now", "today", "lately", "recently", "tonight", "still", "again"])
WRITER = frozenset(["i", "me", "my", "myself", "mine"])

Cue: TypeAlias = tuple[int, str]


@dataclass(frozen=True)
class Finding:
    """A danger that the rules have found. `rule` names the one that matched, for review, never the text."""

    category: Category
    rule: str


class Rules:
    """A rule book made ready. It holds no state: the same text gives the same finding, always."""

    def __init__(self, book: RuleBook) -> None:
        self._rules = book.rules
        self._exceptions = book.exceptions
        words = book.words
        self._dangers = Automaton(
            (
                (at, parse(phrase, words.lists))
                for at, rule in enumerate(book.rules)
                for phrase in rule.patterns
            ),
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
        self.vocabulary = self._dangers.vocabulary | self._cues.vocabulary
        self.lexicon = build_lexicon(self.vocabulary, words)

    def screen(self, text: str) -> Finding | None:
        """The most urgent danger in the text, by the first rule that found it; None where there is none."""
        words = words_for_rules(normalised(text), self.lexicon)
        dangers = _outermost(self._dangers.scan(words))
        if dangers:
            dangers = self._unexcused(dangers, words)
        if not dangers:
            return None
        urgency = list(Category)
        rule = min(
            (self._rules[match.label] for match in dangers), key=lambda rule: urgency.index(rule.category)
        )
        return Finding(rule.category, rule.id)

    def _unexcused(self, dangers: list[Match[int]], words: Sequence[str]) -> list[Match[int]]:
        cues: dict[Cue, list[Match[Cue]]] = defaultdict(list)
        for match in self._cues.scan(words):
            cues[match.label].append(match)
        excused = [
            (exception, _excused_places(exception.reach, cues[at, "patterns"], words))
            for at, exception in enumerate(self._exceptions)
            if not cues.get((at, "unless")) and (not exception.also or cues.get((at, "also")))
        ]
        excused = [(exception, places) for exception, places in excused if places]
        left: list[Match[int]] = []
        list_end: int | None = None
        for match in dangers:
            rule = self._rules[match.label]
            reaches = [
                exception.reach
                for exception, places in excused
                if _lies_in(match, exception.reach, places) and rule.id.startswith(exception.only)
            ]
            if reaches:
                list_end = match.end if Reach.NEXT in reaches else None
            elif list_end is not None and _is_next_of_list(words[list_end + 1 : match.start], rule):
                list_end = match.end
            else:
                left.append(match)
                list_end = None
        return left


@cache
def shipped_rules() -> Rules:
    """The rules that ship with the package."""
    return Rules(read_rule_book())


def _outermost(matches: list[Match[int]]) -> list[Match[int]]:
    """The matches that lie in no longer one, which says more: `my brother is suicidal` and not `suicidal`."""
    outermost: list[Match[int]] = []
    for match in sorted(matches, key=lambda match: (match.start, -match.end, match.label)):
        last = outermost[-1] if outermost else None
        if last is None or match.end > last.end or (match.start, match.end) == (last.start, last.end):
            outermost.append(match)
    return outermost


def _excused_places(reach: Reach, phrases: list[Match[Cue]], words: Sequence[str]) -> set[int]:
    """Positions of words; `_lies_in` says what of a sign has to be there."""
    if reach is Reach.PHRASE:
        return {place for phrase in phrases for place in range(phrase.start, phrase.end + 1)}
    if reach is Reach.NEXT:
        return {phrase.end + 1 for phrase in phrases}
    if reach is Reach.ONWARD:
        return {place for phrase in phrases for place in _stretch(words, phrase.end, 1, ONWARD_WORDS, WRITER)}
    if reach is Reach.NEAR:
        return {
            place
            for phrase in phrases
            for place in (
                *_stretch(words, phrase.start, -1, NEAR_WORDS, TURNS),
                *range(phrase.start, phrase.end + 1),
                *_stretch(words, phrase.end, 1, NEAR_WORDS, TURNS),
            )
        }
    sentence = list(accumulate(word == SENTENCE_END for word in words))
    beside = {sentence[phrase.start] + near for phrase in phrases for near in (-1, 0, 1)}
    return {place for place in range(len(words)) if sentence[place] in beside}


def _stretch(
    words: Sequence[str], start: int, step: int, length: int, stops: frozenset[str]
) -> Iterator[int]:
    """The places from `start` (left out) on, up to the end of the sentence or one of the `stops`."""
    for place in range(start + step, start + step * (length + 1), step):
        if not 0 <= place < len(words) or words[place] == SENTENCE_END or words[place] in stops:
            return
        yield place


def _lies_in(match: Match[int], reach: Reach, places: set[int]) -> bool:
    if reach in (Reach.PHRASE, Reach.ONWARD):
        return match.end in places
    return match.start in places or (reach is Reach.NEAR and match.end in places)


def _is_next_of_list(between: Sequence[str], rule: DangerRule) -> bool:
    """Whether a sign goes on with what is denied: after `or`, or as in `no suicidal ideas, self-harm`."""
    is_item = "or" in between or "nor" in between or rule.id.endswith(".words")
    return is_item and len(between) <= LIST_GAP and LIST_WORDS.issuperset(between)
