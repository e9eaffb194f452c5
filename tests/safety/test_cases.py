"""No text of someone at risk is missed, and few harmless texts raise an alarm."""

from __future__ import annotations

import pytest
from cases import texts_of

from symptoms.safety import Category, Level, screen
from symptoms.safety.rules_layer import shipped_rules

TRUE = [
    *texts_of("cases_true"),
    *texts_of("cases_terse"),
]


def test_there_are_enough_cases():
    """The sets have the size that docs/safety.md speaks of."""
    sizes = [
        len(texts_of("cases_true")),
        len(texts_of("cases_harmless")),
        len(texts_of("kept_aside", "true")),
        len(texts_of("kept_aside", "harmless")),
    ]
    assert all(size >= least for size, least in zip(sizes, (220, 320, 100, 150), strict=True))


@pytest.mark.parametrize("category", Category)
def test_no_text_of_someone_at_risk_is_missed(category: Category):
    """Every true case is found, under its category."""
    texts = [text for kind, text in TRUE if kind == category]
    assert texts
    assert [text for text in texts if screen(text).category is not category] == []


def test_no_text_kept_aside_is_missed():
    """Every true case of the set that no rule was tuned on is found, under any category."""
    assert [text for _, text in texts_of("kept_aside", "true") if not screen(text).crisis] == []


@pytest.mark.parametrize(("name", "section"), [("cases_harmless", None), ("kept_aside", "harmless")])
def test_false_alarms_of_the_rules_stay_rare(name: str, section: str | None):
    """At most 5% of the harmless texts are alarmed on by a rule."""
    texts = [text for _, text in texts_of(name, section)]
    alarms = [text for text in texts if shipped_rules().screen(text)]
    assert len(alarms) <= len(texts) * 0.05, alarms


@pytest.mark.parametrize(
    ("name", "section", "either"), [("cases_harmless", None, 0.30), ("kept_aside", "harmless", 0.45)]
)
def test_false_alarms_of_all_layers_stay_bearable(name: str, section: str | None, either: float):
    """At most 5% of the harmless texts, written to look like danger, are called clear; more are possible."""
    levels = [screen(text).level for _, text in texts_of(name, section)]
    assert levels.count(Level.CLEAR) <= len(levels) * 0.05
    assert len(levels) - levels.count(Level.NONE) <= len(levels) * either
