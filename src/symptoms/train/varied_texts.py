"""The same description told a little differently, so that a model learns what does not count.

Slips of the keyboard, a sentence more or less, another opening, contractions made or written out. What the
test of robustness changes (`evaluate/robustness/perturbations.py`) is of the same kinds, but no sentence or
opening of it is used here.
"""

import re
from collections.abc import Sequence
from random import Random

from symptoms.data.misspelling.keyboard import keys_beside
from symptoms.packaged import packaged

SHORTEST_WORD = 4
MOST_SLIPS = 3

LEAVES_OUT, REORDERS, ADDS, OPENS, CONTRACTS, SLIPS, DROPS_APOSTROPHES = 0.2, 0.15, 0.3, 0.15, 0.3, 0.4, 0.1
"""How often each change is made; several may be made at once."""
FEWEST_SENTENCES = 3
"""Of texts with so many sentences or more, one may be left out."""

_TOLD = packaged(__package__, "varied_texts.toml")
EVERYDAY_SENTENCES: Sequence[str] = _TOLD["everyday"]
TOLD_OPENINGS: Sequence[str] = _TOLD["openings"]
CONTRACTIONS: Sequence[tuple[str, str]] = _TOLD["contractions"]

_LONG_WORD = re.compile(rf"[a-zA-Z]{{{SHORTEST_WORD},}}")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")


def varied(text: str, random: Random) -> str:
    """The text with some of the changes made; which, and where, `random` decides."""
    told = _BETWEEN_SENTENCES.split(text.strip())
    if random.random() < LEAVES_OUT and len(told) >= FEWEST_SENTENCES:
        del told[random.randrange(len(told))]
    if random.random() < REORDERS:
        others = told[1:]
        random.shuffle(others)
        told[1:] = others
    if random.random() < ADDS:
        # Most often at the end, where people add such a sentence.
        place = random.choice((0, len(told), len(told), random.randint(0, len(told))))
        told.insert(place, random.choice(EVERYDAY_SENTENCES))
    changed = " ".join(told)
    if random.random() < OPENS:
        changed = random.choice(TOLD_OPENINGS) + changed
    if random.random() < CONTRACTS:
        changed = _otherwise_contracted(changed, random)
    if random.random() < SLIPS:
        changed = _with_slips(changed, random)
    if random.random() < DROPS_APOSTROPHES:
        changed = changed.replace("'", "")
    return changed


def _otherwise_contracted(text: str, random: Random) -> str:
    for short, long in CONTRACTIONS:
        text = text.replace(short, long) if random.random() < 0.5 else text.replace(long, short)
    return text


def _with_slips(text: str, random: Random) -> str:
    words = [found.span() for found in _LONG_WORD.finditer(text)]
    letters = list(text)
    for start, end in random.sample(words, min(len(words), random.randint(1, MOST_SLIPS))):
        # The first letter of a word is seldom missed, and carries most of it.
        place = random.randrange(start + 1, end)
        kind = random.choice(("exchange", "neighbour", "neighbour", "leave out", "double"))
        if kind == "exchange" and place + 1 < end:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif kind == "neighbour":
            key = random.choice(keys_beside(text[place]))
            letters[place] = key.upper() if text[place].isupper() else key
        elif kind == "leave out":
            letters[place] = ""
        else:
            letters[place] = text[place] * 2
    return "".join(letters)
