"""An assessment and its three lines of text."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from symptoms.errors import AssessmentFormatError

CONCERN = "Primary concern: "
NO_SYMPTOMS = "none identified"
LAYOUT = re.compile(
    r"Primary concern: (?P<concern>.+)\nKey symptoms: (?P<symptoms>.+)\nRecommendation: (?P<advice>.+)"
)


def _one_line(text: str) -> str:
    if not text.strip() or text != text.strip() or len(text.splitlines()) != 1:
        raise ValueError("must be one line without spaces around it")
    return text


def _symptom(text: str) -> str:
    if "," in _one_line(text) or text == NO_SYMPTOMS:
        raise ValueError(f"must be a single symptom, not {NO_SYMPTOMS!r}")
    return text


class WrittenAssessment(BaseModel):
    """An assessment as a model writes it. `concern` is a condition's label, such as `Panic Disorder`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concern: Annotated[str, AfterValidator(_one_line)]
    symptoms: tuple[Annotated[str, AfterValidator(_symptom)], ...]
    recommendation: Annotated[str, AfterValidator(_one_line)]


def render_assessment(assessment: WrittenAssessment) -> str:
    """The three lines that the model is trained to write."""
    return (
        f"{CONCERN}{assessment.concern}\n"
        f"Key symptoms: {', '.join(assessment.symptoms) or NO_SYMPTOMS}\n"
        f"Recommendation: {assessment.recommendation}"
    )


def parse_assessment(text: str) -> WrittenAssessment:
    """The assessment of three lines; raises AssessmentFormatError for anything else."""
    match = LAYOUT.fullmatch(text.strip())
    if match is None:
        raise AssessmentFormatError("The model's answer is not an assessment; train for more steps.")
    listed = match["symptoms"]
    symptoms = () if listed == NO_SYMPTOMS else tuple(listed.split(", "))
    try:
        return WrittenAssessment(concern=match["concern"], symptoms=symptoms, recommendation=match["advice"])
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise AssessmentFormatError(
            f"The {field} in the model's answer is malformed; train for more steps."
        ) from error
