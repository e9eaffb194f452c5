"""What a model wrote after the concern's line, as far as it can be used.

Nothing of it is shown raw: a symptom has to be a known term, and a recommendation one whole line that names
no drug, no dose and no diagnosis. What is missing or malformed is left out, and a standing sentence stands in
for the recommendation.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from symptoms.data.assessment import NO_SYMPTOMS
from symptoms.safety import names_a_drug_or_dose, says_you_have

STANDING_RECOMMENDATION = (
    "If this troubles you or does not pass, a doctor or a psychologist is a good person to talk it over with."
)
_SYMPTOMS = re.compile(r"Key symptoms: (?P<listed>[^\n]+)(?=\n|\Z)")
_RECOMMENDATION = re.compile(r"Key symptoms: [^\n]+\nRecommendation: (?P<advice>[^\n]+)")


@dataclass(frozen=True)
class Continuation:
    """The symptoms and the recommendation; the latter is None where none can be used."""

    symptoms: tuple[str, ...]
    recommendation: str | None


def read_continuation(written: str, ended: bool, known_symptoms: Set[str]) -> Continuation:
    """What can be used of `written`; `ended` tells whether the model came to its end by itself."""
    return Continuation(_symptoms(written, ended, known_symptoms), _recommendation(written, ended))


def _symptoms(written: str, ended: bool, known: Set[str]) -> tuple[str, ...]:
    found = _SYMPTOMS.match(written)
    if found is None or found["listed"] == NO_SYMPTOMS:
        return ()
    listed = found["listed"].split(", ")
    if not ended and found.end() == len(written):
        # Cut off within this line, so the last one may be half a term.
        listed = listed[:-1]
    return tuple(dict.fromkeys(symptom for symptom in listed if symptom in known))


def _recommendation(written: str, ended: bool) -> str | None:
    found = _RECOMMENDATION.fullmatch(written)
    if not ended or found is None:
        return None
    advice = found["advice"].strip()
    # What is not printable could steer a terminal.
    is_sound = advice != "" and advice.isprintable()
    return advice if is_sound and not names_a_drug_or_dose(advice) and not says_you_have(advice) else None
