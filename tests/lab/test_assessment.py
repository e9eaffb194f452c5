"""Assessments render to three lines and parse back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import (
    RECOMMENDATION,
    WrittenAssessment,
    parse_assessment,
    parse_findings,
    render_assessment,
)
from symptoms.errors import AssessmentFormatError

LINES = st.text(min_size=1, max_size=60).filter(lambda t: t == t.strip() and len(t.splitlines()) == 1)
SYMPTOMS = LINES.filter(lambda t: "," not in t and t != "none identified")


@given(LINES, st.lists(SYMPTOMS, max_size=5), LINES)
def test_parse_is_the_inverse_of_render(concern: str, symptoms: list[str], recommendation: str):
    """parse(render(x)) == x for every assessment there can be."""
    assessment = WrittenAssessment(concern=concern, symptoms=tuple(symptoms), recommendation=recommendation)
    rendered = render_assessment(assessment)
    assert parse_assessment(rendered) == assessment
    findings = parse_findings(rendered[: rendered.rindex(RECOMMENDATION)])
    assert (findings.concern, findings.symptoms) == (assessment.concern, assessment.symptoms)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text: str):
    """Parsing never fails in another way, and what it accepts renders to the same text."""
    try:
        assessment = parse_assessment(text)
    except AssessmentFormatError:
        return
    assert render_assessment(assessment) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Primary concern: X",
        "Primary concern: X\nKey symptoms: a\nRecommendation: ",
        "Primary concern: X\nKey symptoms: a,b\nRecommendation: r",
        "Primary concern: X\nKey symptoms: a, none identified\nRecommendation: r",
        "Primary concern: X\nKey symptoms: a\nRecommendation: r\nmore",
        "Key symptoms: a\nPrimary concern: X\nRecommendation: r",
    ],
)
def test_what_is_not_three_lines_is_refused(text: str):
    """Missing, extra, empty or swapped lines are refused, and as findings three lines are, too."""
    for parse in (parse_assessment, parse_findings):
        with pytest.raises(AssessmentFormatError):
            parse(text)
