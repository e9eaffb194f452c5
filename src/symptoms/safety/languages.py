"""Which language a text is in, as far as the screen has to know: one that it reads, or not."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from symptoms.packaged import packaged
from symptoms.safety.text.folding import folded, tokens_of_folded
from symptoms.safety.text.normalising import closed_up, normalised

SURE_WORDS = 3
"""Common words of a language that have to be there before a text is said to be in one that is not covered."""
SURE_LEAD = 1.5
"""How many times as many of them as of English, or of another covered language."""
SURE_LETTERS = 0.5
"""The share of letters of another script from which a text is said to be written in it."""
SAID_IN_ENGLISH = "die"
"""The commonest word of German is one that people in danger write in English; alone it tells neither."""
FIRST_SIGNS = 2000
FEWEST_IN = 50
"""A language counts among those of many texts where one in so many is in it."""
FEWEST_OF = 3
"""And where at least so many are."""

SCRIPTS: Mapping[str, str] = packaged(__package__, "scripts.toml")


@dataclass(frozen=True)
class Language:
    """`code` is ISO 639's where the language is known by its words, else None; `name` as in a sentence."""

    code: str | None
    name: str
    covered: bool


ENGLISH = Language("en", "English", covered=True)


def language_of(text: str) -> Language:
    """The language of a text; English where too little of it tells."""
    text = normalised(text[:FIRST_SIGNS])
    return language_by_script(text) or _by_words(tokens_of_folded(folded(closed_up(text))))


def languages_of(texts: Sequence[str]) -> frozenset[str]:
    """The language that most of these texts are in, and those of one in fifty and of FEWEST_OF; else English.

    A short text is taken for another language now and then, and one of them teaches a model none.
    """
    found = Counter(language_of(text).name for text in texts).most_common()
    others = {name for name, count in found[1:] if count >= FEWEST_OF and count * FEWEST_IN >= len(texts)}
    return frozenset({found[0][0] if found else ENGLISH.name, *others})


def language_of_tokens(tokens: Sequence[str]) -> str:
    """The code of the covered language that shares the most common words with these tokens."""
    known, words = _words()
    found = Counter(code for token in tokens for code in words.get(token, ()) if known[code].covered)
    return max(known, key=lambda code: (found[code], code == "en")) if found else "en"


def covered_languages() -> tuple[Language, ...]:
    """The languages that the screen reads, English first."""
    return tuple(language for language in _words()[0].values() if language.covered)


def language_by_script(text: str) -> Language | None:
    """The language of a normalised text that is mostly in other letters than Latin ones, else None."""
    letters = [letter for letter in text if letter.isalpha()]
    foreign = Counter(
        script for letter in letters if letter > "\u024f" and (script := _script_of(letter)) is not None
    )
    if not foreign or sum(foreign.values()) < SURE_LETTERS * len(letters):
        return None
    if {"HIRAGANA", "KATAKANA"} & set(foreign):
        return Language(None, SCRIPTS["HIRAGANA"], covered=False)
    return Language(None, SCRIPTS[foreign.most_common(1)[0][0]], covered=False)


def _script_of(letter: str) -> str | None:
    first = unicodedata.name(letter, "").split(" ")[0]
    return first if first in SCRIPTS else None


def _by_words(tokens: Sequence[str]) -> Language:
    known, found = common_words(tokens)
    best = max(known, key=lambda code: (found[code], known[code].covered, code == "en"))
    if found[best] == 1 and SAID_IN_ENGLISH in tokens:
        return known["en"]
    if known[best].covered:
        tied = [code for code in known if known[code].covered and found[code] == found[best]]
        # Words for people in danger are said in it: rather in English than in the wrong one.
        return known[best] if len(tied) == 1 else known["en"]
    covered = max(found[code] for code in known if known[code].covered)
    if found[best] >= SURE_WORDS and found[best] >= SURE_LEAD * max(covered, 1):
        return known[best]
    return known["en"]


def common_words(tokens: Sequence[str]) -> tuple[dict[str, Language], Counter[str]]:
    """The languages by code, and of how many of these tokens each has among its commonest words."""
    known, words = _words()
    return known, Counter(code for token in tokens for code in words.get(token, ()))


@cache
def _words() -> tuple[dict[str, Language], dict[str, tuple[str, ...]]]:
    known: dict[str, Language] = {}
    words: dict[str, tuple[str, ...]] = {}
    for code, entry in packaged(__package__, "languages.toml").items():
        known[code] = Language(code, entry["name"], entry["covered"])
        for word in tokens_of_folded(entry["words"]):
            words[word] = (*words.get(word, ()), code)
    return known, words
