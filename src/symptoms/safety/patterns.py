"""Phrases in the readable form of the rules, compiled into one automaton that reads a text once.

In a phrase `(one|two words)` is a choice, `[really|just]` a choice that may be absent, `<someone>` a list of
words.toml, `NUMBER` any number and `MANY` one from ten on, `...` a gap of up to three words, and `.` the
beginning or the end of a sentence, beyond which no phrase reaches.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

SENTENCE_END = "."
CLAUSE_END = ","
GAP = "..."
NUMBER, MANY = "NUMBER", "MANY"
GAP_WORDS = 3

_PARTS = re.compile(r"\.\.\.|<\w+>|[()\[\]|]|[^\s()\[\]|<>]+")


@dataclass(frozen=True)
class Choice:
    """Alternatives, one of which stands here; none of them may where `optional`."""

    options: tuple[Phrase, ...]
    optional: bool


Phrase: TypeAlias = "tuple[str | Choice, ...]"
Label = TypeVar("Label", bound=Hashable)


class Match(NamedTuple, Generic[Label]):
    """A phrase found: its label and the positions of its first and last word."""

    label: Label
    start: int
    end: int


class PatternError(ValueError):
    """A phrase that is not in the readable form."""


def parse(pattern: str, lists: Mapping[str, str]) -> Phrase:
    """The parts of a phrase; raises PatternError for an unknown list or an unclosed bracket."""
    parts = _PARTS.findall(pattern)
    options, used = _options(parts, 0, "", lists)
    if used != len(parts) or len(options) != 1:
        raise PatternError(f"{pattern!r}: put alternatives in brackets and close every bracket.")
    return options[0]


def _options(
    parts: Sequence[str], at: int, closing: str, lists: Mapping[str, str]
) -> tuple[list[Phrase], int]:
    options: list[list[str | Choice]] = [[]]
    while at < len(parts) and parts[at] != closing:
        part = parts[at]
        at += 1
        if part in "([":
            inner, at = _options(parts, at, ")" if part == "(" else "]", lists)
            if at == len(parts):
                raise PatternError(f"{' '.join(parts)!r}: a bracket is not closed.")
            at += 1
            options[-1].append(Choice(tuple(inner), optional=part == "["))
        elif part in ")]":
            raise PatternError(f"{' '.join(parts)!r}: a bracket is closed that was not opened.")
        elif part == "|":
            options.append([])
        elif part.startswith("<"):
            if part[1:-1] not in lists:
                raise PatternError(f"{part}: there is no such list in words.toml.")
            inner, _ = _options(_PARTS.findall(lists[part[1:-1]]), 0, "", lists)
            options[-1].append(Choice(tuple(inner), optional=False))
        elif part == NUMBER:
            options[-1].append(Choice(((NUMBER,), (MANY,)), optional=False))
        else:
            options[-1].append(part)
    return [tuple(option) for option in options], at


class Automaton(Generic[Label]):
    """Finds every phrase in one pass; time grows with the length of the text, whatever the text.

    With `through_clauses`, commas between the words of a phrase are overlooked.
    """

    def __init__(self, phrases: Iterable[tuple[Label, Phrase]], *, through_clauses: bool) -> None:
        self._edges: list[dict[str, set[int]]] = []
        self._any: list[set[int]] = []
        self._labels: list[set[Label]] = []
        self._shared: dict[tuple[frozenset[int], tuple[str, ...]], int] = {}
        self._through_clauses = through_clauses
        root = self._node()
        for label, sequence in phrases:
            for end in self._attach(sequence, {root}):
                if end == root:
                    raise PatternError(f"{label}: a phrase must have at least one word.")
                self._labels[end].add(label)
        self.vocabulary = frozenset(word for edges in self._edges for word in edges)

    def _node(self) -> int:
        self._edges.append({})
        self._any.append(set())
        self._labels.append(set())
        return len(self._edges) - 1

    def _attach(self, sequence: Phrase, heads: set[int]) -> set[int]:
        for part in sequence:
            if part == GAP:
                newest = heads
                for _ in range(GAP_WORDS):
                    node = self._node()
                    for head in newest:
                        self._any[head].add(node)
                    newest = {node}
                    heads = heads | newest
            elif isinstance(part, str):
                heads = self._attach_words([part], heads)
            else:
                single = [option[0] for option in part.options if len(option) == 1]
                words = [word for word in single if isinstance(word, str) and word != GAP]
                ends = self._attach_words(words, heads) if words else set[int]()
                for option in part.options:
                    if not (len(option) == 1 and option[0] in words):
                        ends |= self._attach(option, heads)
                heads = ends | heads if part.optional else ends
        return heads

    def _attach_words(self, words: Iterable[str], heads: set[int]) -> set[int]:
        # Phrases that begin alike share their first nodes, which keeps the automaton small.
        key = (frozenset(heads), tuple(words))
        if key not in self._shared:
            node = self._shared[key] = self._node()
            for head in heads:
                for word in key[1]:
                    self._edges[head].setdefault(word, set()).add(node)
        return {self._shared[key]}

    def scan(self, words: Sequence[str]) -> list[Match[Label]]:
        """Every phrase in `words`, in the order of their ends; of one label and end, the longest."""
        # A state is the nodes reached, with the words read since each phrase began. Steps between states are
        # computed once and looked up after, so that any text costs about one look-up a word.
        states: list[tuple[tuple[int, int], ...]] = [()]
        numbers = {states[0]: 0}
        steps: list[dict[str, tuple[int, tuple[tuple[Label, int], ...]]]] = [{}]
        found: list[Match[Label]] = []
        current = 0
        for position, word in enumerate(words):
            step = steps[current].get(word)
            if step is None:
                state, accepted = self._step(states[current], word)
                if state not in numbers:
                    numbers[state] = len(states)
                    states.append(state)
                    steps.append({})
                step = steps[current][word] = (numbers[state], accepted)
            current = step[0]
            for label, length in step[1]:
                found.append(Match(label, position - length + 1, position))
        return found

    def _step(
        self, state: tuple[tuple[int, int], ...], word: str
    ) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[Label, int], ...]]:
        if word == CLAUSE_END and self._through_clauses:
            return tuple((node, length + 1) for node, length in state), ()
        reached: dict[int, int] = {}
        for node, length in (*state, (0, 0)):
            gaps = () if word in (SENTENCE_END, CLAUSE_END) else self._any[node]
            for target in (*self._edges[node].get(word, ()), *gaps):
                reached[target] = max(length + 1, reached.get(target, 0))
        accepted: dict[Label, int] = {}
        for node, length in reached.items():
            for label in self._labels[node]:
                accepted[label] = max(length, accepted.get(label, 0))
        if word == SENTENCE_END:
            reached = dict.fromkeys(self._edges[0].get(SENTENCE_END, ()), 1)
        return tuple(sorted(reached.items())), tuple(sorted(accepted.items(), key=str))
