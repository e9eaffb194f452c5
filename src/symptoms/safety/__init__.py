"""The crisis screen: signs of danger now in a text, and where to find help. It reads English only.

No model is involved: `screen` goes by the rules in the folder `rules`, which docs/safety.md explains.
"""

from __future__ import annotations

from functools import cache

from symptoms.safety.helplines import (
    Helpline,
    Helplines,
    check_country,
    country_code,
    country_of_locale,
    crisis_notice,
    helplines,
    known_countries,
    lines_for,
)
from symptoms.safety.recommendations import names_a_drug_or_dose, says_you_have
from symptoms.safety.rulebook import Category, read_rule_book
from symptoms.safety.screening import Screen, Screening

__all__ = [
    "Category",
    "Helpline",
    "Helplines",
    "Screening",
    "check_country",
    "country_code",
    "country_of_locale",
    "crisis_notice",
    "helplines",
    "known_countries",
    "lines_for",
    "names_a_drug_or_dose",
    "says_you_have",
    "screen",
]


def screen(text: str) -> Screening:
    """Whether a text speaks of danger now: to oneself, to others, at home, or from voices that give orders.

    It reads English only, misses what is said in words that it does not know, and otherwise errs towards an
    alarm. It never raises, whatever the text, and its time grows linearly with the length.
    """
    return _shipped_screen().screen(text)


@cache
def _shipped_screen() -> Screen:
    return Screen(read_rule_book())
