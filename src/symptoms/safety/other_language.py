"""Whether a text is clearly in another language than those that a model has learnt from.

A text of some length is known by three of a language's commonest words. A few words hold none or one of
these, so that they count, too, where most of them are no words of English: of the phrases of two to six words
in data/crisis 73% in the six other languages are then known, and 20% without.
"""

from collections.abc import Set

from symptoms.safety.languages import (
    ENGLISH,
    FIRST_SIGNS,
    SAID_IN_ENGLISH,
    SURE_LEAD,
    SURE_WORDS,
    Language,
    common_words,
    language_by_script,
)
from symptoms.safety.learned import shipped_weights
from symptoms.safety.text.folding import folded, tokens_of_folded
from symptoms.safety.text.normalising import closed_up, normalised

KNOWN_WORD = 1
"""Power of two from which a word that was learned from is one of English: it stood there twice or more."""
MOST_ENGLISH = 0.5
"""The share of words of English up to which a few words may be in another language."""


def language_other_than(text: str, names: Set[str]) -> Language | None:
    """The language of a text that is clearly in none of those named, else None."""
    text = normalised(text[:FIRST_SIGNS])
    by_script = language_by_script(text)
    if by_script is not None:
        return None if by_script.name in names else by_script
    tokens = tokens_of_folded(folded(closed_up(text)))
    known, found = common_words(tokens)
    best = max(known, key=lambda code: found[code])
    of_names = max((found[code] for code in known if known[code].name in names), default=0)
    if found[best] >= SURE_WORDS and found[best] >= SURE_LEAD * max(of_names, 1):
        return known[best]
    _, in_words = common_words([token for token in tokens if len(token) > 1])
    of_english_too = found[best] == 1 and SAID_IN_ENGLISH in tokens
    if of_english_too or in_words[best] <= of_names or names != {ENGLISH.name}:
        return None
    frequency = shipped_weights().vocabulary.frequency
    english = sum(frequency.get(token, 0) >= KNOWN_WORD for token in tokens)
    return known[best] if english <= MOST_ENGLISH * len(tokens) else None
