"""What people see of an assessment in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from symptoms.classifier import Assessment, LabelProbability
from symptoms.cli.assessment_card import print_assessment

LONG = "Post-Traumatic Stress (Post-Traumatic Stress Disorder)"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_percentage_is_shown_whole(width: int):
    """A long name is cut and not the figure beside it, also in a narrow window."""
    leading = (LabelProbability("ptsd", LONG, 0.97), LabelProbability("panic", "Panic Disorder", 0.03))
    assessment = Assessment(
        condition="ptsd",
        primary_concern=LONG,
        probability=0.97,
        leading=leading,
        key_symptoms=(),
        recommendation="Ask a doctor.",
        abstained=False,
        abstained_because=None,
        calibrated=True,
        crisis_notice=None,
        text=f"Primary concern: {LONG}\nKey symptoms: none identified\nRecommendation: Ask a doctor.",
    )
    console = Console(width=width, file=io.StringIO())
    print_assessment(console, assessment)
    assert isinstance(console.file, io.StringIO)
    bars = [line.rstrip() for line in console.file.getvalue().splitlines() if line.rstrip().endswith("%")]
    assert [line.split()[-1] for line in bars] == ["97%", "3%"]
