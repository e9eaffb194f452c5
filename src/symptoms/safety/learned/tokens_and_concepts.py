"""A text as the learned screen reads it: plain tokens, and the concepts that they name in seven languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from symptoms.packaged import packaged
from symptoms.safety.text.folding import folded, squeezed, tokens_of_folded
from symptoms.safety.text.normalising import closed_up, normalised

SIGNS_READ = 4000
"""Signs read of a text, half from its beginning and half from its end, so that any text takes little time."""
LONGEST_NUMBER = 4


@dataclass(frozen=True)
class Concepts:
    """Which concepts a token names, by language: as a whole word, or by how it begins."""

    by_word: dict[str, dict[str, tuple[str, ...]]]
    by_stem: dict[str, dict[str, tuple[str, ...]]]
    longest_stem: int

    def of(self, token: str, language: str) -> tuple[str, ...]:
        """The concepts of a token, those of the longest beginning where the whole word names none."""
        whole = self.by_word[language].get(token)
        if whole is not None:
            return whole
        stems = self.by_stem[language]
        for length in range(min(len(token), self.longest_stem), 1, -1):
            if token[:length] in stems:
                return stems[token[:length]]
        return ()


def tokens_of(text: str) -> list[str]:
    """Lower-case tokens without accents, apostrophes or repeated letters; numbers by how long they are."""
    text = within_reach(text)
    numbers = _numbers()
    return [
        f"#{min(len(token), LONGEST_NUMBER)}" if token.isdecimal() else numbers.get(token, token)
        for token in tokens_of_folded(folded(closed_up(normalised(text))))
    ]


def within_reach(text: str) -> str:
    """The text, or of one that is too long its beginning and its end."""
    if len(text) <= SIGNS_READ:
        return text
    return f"{text[: SIGNS_READ // 2]} {text[-SIGNS_READ // 2 :]}"


def concepts_of(tokens: Sequence[str], language: str) -> list[tuple[int, str]]:
    """The concepts that tokens name, each with the token's place."""
    concepts = _concepts()
    return [(at, name) for at, token in enumerate(tokens) for name in concepts.of(token, language)]


@cache
def _numbers() -> dict[str, str]:
    """Numbers in words, under a sign for how many digits they have."""
    numbers = packaged(__package__, "numbers.toml")
    return {squeezed(word): sign for sign, words in numbers.items() for word in words.split()}


@cache
def _concepts() -> Concepts:
    by_word: dict[str, dict[str, tuple[str, ...]]] = {}
    by_stem: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, languages in packaged(__package__, "concepts.toml").items():
        for language, words in languages.items():
            for word in words.split():
                table = (by_stem if word.endswith("*") else by_word).setdefault(language, {})
                plain = squeezed(folded(word.rstrip("*")))
                if name not in table.get(plain, ()):
                    table[plain] = (*table.get(plain, ()), name)
    longest = max(len(stem) for stems in by_stem.values() for stem in stems)
    return Concepts(by_word, by_stem, longest)
