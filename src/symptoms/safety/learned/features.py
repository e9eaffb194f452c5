"""What the learned screen counts in a text, hashed into places: words, pieces of words, and concepts.

Nothing is looked up in a vocabulary, so that a word nobody wrote down still counts by its pieces.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

from symptoms.data.misspelling.vocabulary import Vocabulary
from symptoms.safety.languages import ENGLISH, language_of_tokens
from symptoms.safety.learned.tokens_and_concepts import concepts_of, tokens_of
from symptoms.safety.rulebook import Category

CONCEPTS_APART = 6
"""Tokens within which two concepts count as a pair, in their order."""
PIECES = (3, 4, 5)


@dataclass(frozen=True)
class Block:
    """Features of one kind: where their places begin, how many they have, and how much they weigh."""

    name: str
    start: int
    size: int
    scale: float


CONCEPTS = Block("concepts", 0, 1 << 14, 0.4)
WORDS = Block("words", 1 << 14, 1 << 16, 1.0)
LETTERS = Block("letters", (1 << 14) + (1 << 16), 1 << 17, 1.0)
RULES = Block("rules", (1 << 14) + (1 << 16) + (1 << 17), 8, 0.3)
BLOCKS = (CONCEPTS, WORDS, LETTERS, RULES)
PLACES = RULES.start + RULES.size


def features_of(
    text: str, by_rule: Category | None, vocabulary: Vocabulary | None
) -> dict[Block, dict[int, float]]:
    """For each block the places of what is in the text, with 1 + log of its count.

    `by_rule` is what the readable rules found in the same text; by the `vocabulary` misspelt words are read
    as what was meant, without one as they are written.
    """
    tokens = tokens_of(text)
    language = language_of_tokens(tokens)
    if language == ENGLISH.code and vocabulary is not None:
        tokens = vocabulary.mended(tokens)
    counted: dict[Block, dict[int, float]] = {
        WORDS: _hashed(WORDS, _words(tokens)),
        LETTERS: _hashed(LETTERS, _pieces(tokens)),
        CONCEPTS: _hashed(CONCEPTS, _concepts(tokens, language)),
    }
    if by_rule is not None:
        counted[RULES] = {RULES.start: 1.0, RULES.start + 1 + list(Category).index(by_rule): 1.0}
    return counted


def _words(tokens: list[str]) -> Iterable[str]:
    yield from tokens
    for first, second in pairwise(tokens):
        yield f"{first} {second}"


def _pieces(tokens: list[str]) -> Iterable[str]:
    for token in tokens:
        whole = f" {token} "
        for length in PIECES:
            if len(whole) <= length:
                yield whole
            else:
                for at in range(len(whole) - length + 1):
                    yield whole[at : at + length]


def _concepts(tokens: list[str], language: str) -> Iterable[str]:
    found = concepts_of(tokens, language)
    for at, (place, name) in enumerate(found):
        yield name
        for other_place, other in found[at + 1 :]:
            if other_place - place > CONCEPTS_APART:
                break
            if other_place > place:
                yield f"{name}>{other}"


def _hashed(block: Block, names: Iterable[str]) -> dict[int, float]:
    counts = Counter(names)
    places: dict[int, float] = {}
    for name, count in counts.items():
        place = block.start + crc32(name.encode("utf-8", "surrogatepass")) % block.size
        places[place] = places.get(place, 0.0) + 1.0 + math.log(count)
    return places
