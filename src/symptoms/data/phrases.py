"""Evidence as a reader can take it in: `heart` as `heart was racing`, `sad all` as `sad all day`.

What bears a symptom out may be a single word, or break off before the word that it needs. Shown is a little
more of the same clause, so far as that makes a phrase; which symptoms are named, this does not touch.
"""

from collections.abc import Sequence

from symptoms.data.evidence import Span, TextWords
from symptoms.packaged import packaged_words

BEFORE, AFTER = 1, 2
"""Words that a single one is shown with, at most."""
_WORDS = packaged_words(__package__, "phrases.toml")
_JOINING = _WORDS["joining"]
_LEANING = _WORDS["leaning"] | _JOINING
_BREAKING_OFF = _LEANING - _WORDS["objects"]


def phrases(words: TextWords, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The places of a text with so much around them as makes phrases, in order and apart."""
    found: list[Span] = []
    for span in spans:
        inside = [n for n, one in enumerate(words.spans) if span.start <= one.start and one.end <= span.end]
        first, last = _widened(words, inside[0], inside[-1])
        start, end = words.spans[first].start, words.spans[last].end
        if found and start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(end, found[-1].end))
        else:
            found.append(Span(start, end))
    return tuple(found)


def _widened(words: TextWords, first: int, last: int) -> tuple[int, int]:
    """The first and the last word of the phrase around these."""
    begin, end = first, last
    if first == last:
        while first - begin < BEFORE and begin > 0 and _goes_on(words, begin - 1, begin):
            begin -= 1
        while begin < first and words.words[begin] in _LEANING:
            begin += 1
    elif words.words[last] not in _BREAKING_OFF:
        return first, last
    while end - last < AFTER and end + 1 < len(words.words) and _goes_on(words, end + 1, end):
        end += 1
    while end > last and words.words[end] in _LEANING:
        end -= 1
    return begin, end


def _goes_on(words: TextWords, outer: int, inner: int) -> bool:
    """Whether the word `outer` is in the same clause, and joins no other to it."""
    return words.clauses[outer] == words.clauses[inner] and words.words[outer] not in _JOINING
