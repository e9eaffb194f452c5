"""Whose symptoms a clause tells of: the writer's own, or those of another person.

"I am fine, but my sister has panic attacks" bears nothing of the writer out. What counts is the subject that
the clause opens with, a word like `she` or `my sister`; where a clause joined by `and` has none of its own,
that of the one before it. Where the clause goes on with `me` or `my` (`he shouts at me`), it is of the writer
too. A description in which the writer says nothing of himself (`my son is eight and cannot sit still`) is of
that person as a whole, and all of it counts.
"""

from symptoms.data.evidence.placed_words import TextWords
from symptoms.packaged import packaged_words

_WORDS = packaged_words(__package__, "whose.toml")
_SELF, _OPENING = _WORDS["self"], _WORDS["opening"]
_TOUCHED = _SELF | {"my", "our", "us", "we"}
_AND = frozenset({"and", "or"})
_BREAKS = _AND | _OPENING


def speaks_of_self(text: TextWords) -> bool:
    """Whether the writer says anything of himself: `I`, `me` and the like stand anywhere."""
    return not _SELF.isdisjoint(text.words)


def is_of_another(text: TextWords, start: int, end: int) -> bool:
    """Whether the clause of words `start` to `end` (exclusive) has another person as its subject.

    Not where the words themselves or what follows up to the end of the clause name the writer.
    """
    words = text.words
    first = start
    while first > 0 and text.clauses[first - 1] == text.clauses[start] and words[first - 1] not in _OPENING:
        first -= 1
    other, place = False, first
    while place < end:
        if words[place] in _SELF:
            return False
        length = _other_person(words, place, end)
        opens = place == first or words[place - 1] in _AND
        if length and opens:
            other = True
            place += length
            continue
        if other and words[place] in _TOUCHED:
            return False
        place += 1
    return other and not _reaches_writer(text, end)


def _reaches_writer(text: TextWords, end: int) -> bool:
    clause = text.clauses[end - 1]
    while end < len(text.words) and text.clauses[end] == clause and text.words[end] not in _BREAKS:
        if text.words[end] in _TOUCHED:
            return True
        end += 1
    return False


def _other_person(words: tuple[str, ...], place: int, end: int) -> int:
    """How many words from `place` on name another person; 0 where they name none."""
    if words[place] in _WORDS["pronouns"]:
        return 1
    length = 0
    while place + length < end and words[place + length] in _WORDS["before_relatives"]:
        length += 1
    return length + 1 if place + length < end and words[place + length] in _WORDS["relatives"] else 0
