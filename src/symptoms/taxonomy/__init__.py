"""The 30 conditions and 140 symptom terms that the bundled data uses."""

from functools import cache

from pydantic import BaseModel, ConfigDict

from symptoms.packaged import packaged


class Condition(BaseModel):
    """One entry of the taxonomy; the codes are empty where no classification lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    formal_name: str
    icd11: str
    dsm5tr_icd10cm: str

    @property
    def label(self) -> str:
        """The text of a `Primary concern` line: the name, and the formal name where it differs."""
        return self.name if self.name == self.formal_name else f"{self.name} ({self.formal_name})"


class Recommendations(BaseModel):
    """Sentences written by hand, so that none speaks of what nobody said.

    `covered` are the symptoms that a condition's own sentence is about already.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    conditions: dict[str, str]
    covered: dict[str, tuple[str, ...]]
    symptoms: dict[str, str]


EVERYDAY = "no_clinical_concern"
"""The taxonomy's label for everyday life."""
TOO_LITTLE = "not_enough_information"
"""The taxonomy's label for texts that are too vague, of the body, or off topic."""
OUT_OF_SCOPE = (EVERYDAY, TOO_LITTLE)
"""The taxonomy's labels for texts that give no reason to name a condition."""


@cache
def conditions() -> tuple[Condition, ...]:
    """All conditions, in the taxonomy's order."""
    return tuple(Condition.model_validate(entry) for entry in packaged(__name__, "conditions.json"))


@cache
def symptom_terms() -> dict[str, tuple[str, ...]]:
    """The symptom terms by group."""
    return {group: tuple(terms) for group, terms in packaged(__name__, "symptoms.json").items()}


@cache
def symptom_cues() -> dict[str, tuple[str, ...]]:
    """The cues of each symptom term; `symptoms.data.evidence` says how they are written."""
    return {term: tuple(cues) for term, cues in packaged(__name__, "symptom_cues.json").items()}


@cache
def evidence_cues() -> dict[str, tuple[str, ...]]:
    """Those cues of each symptom term that may be shown as evidence, written in the same way."""
    return {term: tuple(cues) for term, cues in packaged(__name__, "evidence_cues.json").items()}


@cache
def recommendations() -> Recommendations:
    """What is recommended for conditions by their ids, and beside it for symptom terms, by rank."""
    return Recommendations.model_validate(packaged(__name__, "recommendations.json"))
