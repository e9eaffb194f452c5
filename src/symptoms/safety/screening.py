"""The layers of the crisis screen together: any of them can raise a notice, and none can take one back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from symptoms.data.misspelling.vocabulary import Vocabulary
from symptoms.safety.languages import ENGLISH, Language, language_of
from symptoms.safety.learned import Scores, Thresholds, features_of, scores_of, shipped_weights
from symptoms.safety.other_language import language_other_than
from symptoms.safety.passages import strongest
from symptoms.safety.rulebook import Category
from symptoms.safety.rules_layer import Finding, shipped_rules


class Level(StrEnum):
    """How a text speaks of danger now: not, as far as is seen; possibly; or clearly."""

    NONE = "none"
    POSSIBLE = "possible"
    CLEAR = "clear"

    def at_least(self, other: Level) -> bool:
        """Whether this is as urgent as the other or more so, in the order none, possible, clear."""
        order = list(Level)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Screening:
    """What a text says about danger now.

    `category` is what it is a sign of, None at the level `none`. `rule` names the readable rule that
    matched, for review, never the text. `by_rules` and `by_learned` are what each layer says alone.
    `likeliest` is the category that the text is nearest to, whether there is danger or not.
    """

    level: Level = Level.NONE
    category: Category | None = None
    rule: str | None = None
    by_rules: Level = Level.NONE
    by_learned: Level = Level.NONE
    language: Language = ENGLISH
    likeliest: Category = Category.SUICIDE

    @property
    def crisis(self) -> bool:
        """Whether there is anything to say: at the level `possible` and at `clear`."""
        return self.level is not Level.NONE

    def raised_to(self, level: Level) -> Screening:
        """The same with at least this level, as a further layer has found it."""
        if self.level.at_least(level):
            return self
        return replace(self, level=level, category=self.category or self.likeliest)


class ModelLayer(Protocol):
    """The third layer: a language model that is asked whether a text is of danger now.

    It is asked only where a model is being asked anyway. What it raises stands; where it fails, by whatever
    error, the first two layers speak for themselves.
    """

    def submit(self, text: str) -> Callable[[], Level]:
        """Asks without waiting; the result waits for the answer, and raises where the service fails."""
        ...


def screen(text: str, beside_model: bool = False) -> Screening:
    """Whether a text speaks of danger now: to oneself, to others, at home, or from voices that give orders.

    Two layers read it, neither of which needs a service: readable rules, and a small learned screen. Where a
    third layer is asked beside them (`beside_model`), which counts the learned score in, that screen raises
    of itself only what is clear: the two together find more with fewer false alarms. All miss some and raise
    false alarms; docs/safety.md has the figures. It never raises, whatever the text, and its time grows
    linearly with the length.
    """
    found, scores = _read(text)
    return _screening(text, found, scores, shipped_weights().thresholds, beside_model)


def learned_scores(text: str) -> Scores:
    """What the learned layer says about a text, as numbers."""
    return _read(text)[1]


def _read(text: str) -> tuple[Finding | None, Scores]:
    """What each of the two layers finds in a text."""
    found, weights = shipped_rules().screen(text), shipped_weights()
    category = None if found is None else found.category
    return found, scores_of(features_of(text, category, weights.vocabulary), weights)


def is_near(scores: Scores) -> bool:
    """Whether the learned layer takes a text with these scores to be of anything near danger."""
    return scores.topic >= shipped_weights().thresholds.topic


def known_words() -> Vocabulary:
    """The words that the learned layer knows, most of them English, with letters written twice once."""
    return shipped_weights().vocabulary


def _screening(
    text: str, found: Finding | None, scores: Scores, at: Thresholds, beside_model: bool
) -> Screening:
    language = _language_of(text)
    near = scores.topic >= at.topic
    danger = danger_by_rule = scores.danger
    if not (near and danger >= at.clear):
        danger, danger_by_rule = strongest(text, scores, found is not None, shipped_weights(), at.topic)
    by_learned = Level.NONE
    if near and scores.danger >= at.possible:
        by_learned = Level.CLEAR if danger >= at.clear else Level.NONE if beside_model else Level.POSSIBLE
    if found is None:
        category = None if by_learned is Level.NONE else scores.category
        return Screening(by_learned, category, None, Level.NONE, by_learned, language, scores.category)
    # A phrase alone may stand in a harmless text; the whole of it, or its sentence, has to bear it out.
    agreed = by_learned is Level.CLEAR or danger_by_rule >= at.clear_by_rule
    level = Level.CLEAR if agreed else Level.POSSIBLE
    return Screening(level, found.category, found.rule, Level.POSSIBLE, by_learned, language, scores.category)


def _language_of(text: str) -> Language:
    """The language of a text; of a few words, too, where it is one that is not read."""
    found = language_of(text)
    if found != ENGLISH:
        return found
    # Too little tells those apart that are read: a notice is rather in English than in the wrong one.
    other = language_other_than(text, {ENGLISH.name})
    return ENGLISH if other is None or other.covered else other
