"""The symptoms that a model writes after the concern's line, as far as they can be used.

Nothing of it is shown raw: a symptom has to be a known term. What is missing or malformed is left out.
"""

import re
from collections.abc import Set

from symptoms.data.written_assessment import NO_SYMPTOMS

_SYMPTOMS = re.compile(r"Key symptoms: (?P<listed>[^\n]+)(?=\n|\Z)")


def named_symptoms(written: str, ended: bool, known: Set[str]) -> tuple[str, ...]:
    """The known terms of `written`; `ended` tells whether the model came to the line's end by itself."""
    found = _SYMPTOMS.match(written)
    if found is None or found["listed"] == NO_SYMPTOMS:
        return ()
    listed = found["listed"].split(", ")
    if not ended and found.end() == len(written):
        # Cut off within this line, so the last one may be half a term.
        listed = listed[:-1]
    return tuple(dict.fromkeys(symptom for symptom in listed if symptom in known))
