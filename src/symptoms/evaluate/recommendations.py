"""Whether recommendations keep to what they may say: no drug, no dose, no diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symptoms.safety import names_a_drug_or_dose, says_you_have


@dataclass(frozen=True)
class RecommendationChecks:
    """Shares of so many answers: with a recommendation, and of those, with what must not be in one.

    `answers` is None in the files of older evaluations, which were of all.
    """

    present: float
    names_a_drug_or_dose: float
    says_you_have: float
    answers: int | None = None


def check_recommendations(written: Sequence[str | None]) -> RecommendationChecks:
    """Checks of what was recommended; None where an answer could not be read."""
    there = [text for text in written if text]
    count = max(1, len(there))
    return RecommendationChecks(
        present=len(there) / max(1, len(written)),
        names_a_drug_or_dose=sum(map(names_a_drug_or_dose, there)) / count,
        says_you_have=sum(map(says_you_have, there)) / count,
        answers=len(written),
    )
