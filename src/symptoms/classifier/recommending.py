"""The recommendation of an assessment, chosen for its label and for the symptoms that have words in the text.

None of it is written by the model, which would speak of things that nobody said.
"""

from collections.abc import Collection

from symptoms.taxonomy import EVERYDAY, recommendations

STANDING_RECOMMENDATION = (
    "If this troubles you or does not pass, a doctor or a psychologist is a good person to talk it over with."
)


def recommendation_for(condition: str | None, symptoms: Collection[str]) -> str | None:
    """One line for a condition by its id, or for none; None where nothing is to be recommended.

    Own labels, which no sentence was written for, get the standing one.
    """
    # Nobody needs advice for everyday life.
    if condition == EVERYDAY:
        return None
    known = recommendations()
    about_label = STANDING_RECOMMENDATION if condition is None else known.conditions.get(condition)
    # The sentences stand in the order of their weight, and one of them is enough.
    left = set(symptoms).difference(known.covered.get(condition or "", ()))
    about_symptom = next((sentence for term, sentence in known.symptoms.items() if term in left), None)
    return " ".join(filter(None, (about_label or STANDING_RECOMMENDATION, about_symptom)))
