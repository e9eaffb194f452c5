"""The crisis screen: signs of danger now in a text, and where to find help.

It reads English, Spanish, French, German, Portuguese, Italian, and Hindi in Latin letters. Of its three
layers `screen` has the two that ask no model; the third is asked where a classifier asks one anyway
(`ModelLayer`). docs/safety.md explains them, how they were measured, and what they miss.
"""

from symptoms.safety.helplines import (
    check_country,
    country_code,
    country_of_locale,
    crisis_notice,
    helplines,
    known_countries,
    language_notice,
    lines_for,
    notice_language,
    unread_language,
)
from symptoms.safety.languages import (
    ENGLISH,
    Language,
    covered_languages,
    languages_of,
)
from symptoms.safety.other_language import language_other_than
from symptoms.safety.rulebook import Category
from symptoms.safety.screening import (
    Level,
    ModelLayer,
    Screening,
    is_near,
    known_words,
    learned_scores,
    screen,
)
from symptoms.safety.text.folding import squeezed

__all__ = [
    "ENGLISH",
    "Category",
    "Language",
    "Level",
    "ModelLayer",
    "Screening",
    "check_country",
    "country_code",
    "country_of_locale",
    "covered_languages",
    "crisis_notice",
    "helplines",
    "known_countries",
    "is_near",
    "known_words",
    "language_notice",
    "language_other_than",
    "languages_of",
    "learned_scores",
    "lines_for",
    "notice_language",
    "screen",
    "squeezed",
    "unread_language",
]
