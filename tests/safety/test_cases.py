"""No text of someone at risk is missed, and at most one harmless text in twenty raises an alarm."""

from __future__ import annotations

import pytest
from cases import texts_of

from symptoms.safety import Category, screen

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
def test_false_alarms_stay_rare(name: str, section: str | None):
    """At most 5% of the harmless texts raise an alarm."""
    texts = [text for _, text in texts_of(name, section)]
    alarms = [text for text in texts if screen(text).crisis]
    assert len(alarms) <= len(texts) * 0.05, alarms
