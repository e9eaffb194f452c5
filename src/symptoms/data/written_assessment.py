"""An assessment and its three lines of text."""

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from symptoms.errors import AssessmentFormatError

CONCERN = "Primary concern: "
NO_SYMPTOMS = "none identified"
RECOMMENDATION = "\nRecommendation:"
"""Where what was found of a text ends, and the advice begins."""
FINDINGS = re.compile(r"Primary concern: (?P<concern>.+)\nKey symptoms: (?P<symptoms>.+)")
LAYOUT = re.compile(FINDINGS.pattern + RECOMMENDATION + " (?P<advice>.+)")


def _one_line(text: str) -> str:
    if not text.strip() or text != text.strip() or len(text.splitlines()) != 1:
        raise ValueError("must be one line without spaces around it")
    return text


def _symptom(text: str) -> str:
    if "," in _one_line(text) or text == NO_SYMPTOMS:
        raise ValueError(f"must be a single symptom, not {NO_SYMPTOMS!r}")
    return text


class WrittenFindings(BaseModel):
    """The first two lines of an assessment. `concern` is a condition's label, such as `Panic Disorder`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concern: Annotated[str, AfterValidator(_one_line)]
    symptoms: tuple[Annotated[str, AfterValidator(_symptom)], ...]


class WrittenAssessment(WrittenFindings):
    """An assessment as a model writes it."""

    recommendation: Annotated[str, AfterValidator(_one_line)]


Written = TypeVar("Written", bound=WrittenFindings)


def render_assessment(assessment: WrittenAssessment) -> str:
    """The three lines that the model is trained to write."""
    return (
        f"{CONCERN}{assessment.concern}\n"
        f"Key symptoms: {', '.join(assessment.symptoms) or NO_SYMPTOMS}\n"
        f"Recommendation: {assessment.recommendation}"
    )


def parse_assessment(text: str) -> WrittenAssessment:
    """The assessment of three lines; raises AssessmentFormatError for anything else."""
    match = _match(LAYOUT, text)
    return _checked(WrittenAssessment, match, recommendation=match["advice"])


def parse_concern(text: str) -> WrittenFindings:
    """The concern of one line, without symptoms; raises AssessmentFormatError for anything else."""
    return parse_findings(f"{text.strip()}\nKey symptoms: {NO_SYMPTOMS}")


def parse_findings(text: str) -> WrittenFindings:
    """Concern and symptoms of the first two lines alone; raises AssessmentFormatError for anything else."""
    return _checked(WrittenFindings, _match(FINDINGS, text))


def _match(layout: re.Pattern[str], text: str) -> re.Match[str]:
    match = layout.fullmatch(text.strip())
    if match is None:
        raise AssessmentFormatError("The model's answer is not an assessment; train for more steps.")
    return match


def _checked(kind: type[Written], match: re.Match[str], **more: str) -> Written:
    listed = match["symptoms"]
    symptoms = () if listed == NO_SYMPTOMS else tuple(listed.split(", "))
    try:
        return kind.model_validate({"concern": match["concern"], "symptoms": symptoms, **more})
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise AssessmentFormatError(
            f"The {field} in the model's answer is malformed; train for more steps."
        ) from error
