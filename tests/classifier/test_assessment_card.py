"""What people see of an assessment in a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from symptoms.classifier import Assessment, Evidence, KeySymptom, LabelProbability
from symptoms.cli.assessment_card import print_assessment

LONG = "Post-Traumatic Stress (Post-Traumatic Stress Disorder)"


ABOUT = "The run first answers, trained on 900 examples. On 300 held-out texts it was right for 51%."


def made(probability: float, calibrated: bool = True, abstained: bool = False) -> Assessment:
    leading = (
        LabelProbability("ptsd", LONG, probability),
        LabelProbability("panic", "Panic Disorder", 1 - probability),
    )
    evidence = (Evidence(0, 5, "tired"),)
    return Assessment(
        condition=None if abstained else "ptsd",
        primary_concern=None if abstained else LONG,
        probability=probability,
        leading=leading,
        key_symptoms=(KeySymptom("fatigue", evidence),),
        recommendation="Ask a doctor.",
        abstained=abstained,
        abstained_because=f"No condition is clearly resembled; the nearest is {LONG}." if abstained else None,
        calibrated=calibrated,
        about_the_model=ABOUT,
        crisis_notice=None,
        text=f"Primary concern: {LONG}\nKey symptoms: fatigue\nRecommendation: Ask a doctor.",
    )


def printed(assessment: Assessment, width: int = 100, styled: bool = False) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=styled)
    print_assessment(console, assessment)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_percentage_is_shown_whole(width: int):
    """A long name is cut and not the figure beside it, also in a narrow window."""
    lines = printed(made(0.97), width).splitlines()
    bars = [line.rstrip() for line in lines if line.rstrip().endswith("%")]
    assert [line.split()[-1] for line in bars] == ["97%", "3%"]


@pytest.mark.parametrize(
    ("assessment", "said", "bold"),
    [
        (made(0.95), "strongly resembles", True),
        (made(0.7), "probably resembles", True),
        (made(0.23), "may resemble, without much certainty", False),
        (made(0.995, calibrated=False), "may resemble, without much certainty", False),
        (made(0.23, abstained=True), "No condition is clearly resembled", False),
    ],
)
def test_the_card_looks_and_sounds_as_sure_as_the_answer_is(assessment: Assessment, said: str, bold: bool):
    """What is not certain is not bold, and no answer sounds like another of another certainty."""
    shown = printed(assessment, styled=True)
    assert said in printed(assessment)
    assert ("\x1b[1m" in shown) == bold


@pytest.mark.parametrize(
    ("label", "probability", "said"),
    [
        ("not_enough_information", 0.95, "This description most likely gives Not Enough Information."),
        ("not_enough_information", 0.5, "may give, without much certainty, Not Enough Information."),
        ("no_clinical_concern", 0.95, "This description most likely tells of No Clinical Concern."),
        ("no_clinical_concern", 0.7, "This description probably tells of No Clinical Concern."),
    ],
)
def test_a_label_that_is_no_condition_is_not_resembled(label: str, probability: float, said: str):
    """It has words of its own, as sure as the answer is."""
    name = label.replace("_", " ").title()
    first = LabelProbability(label, name, probability)
    shown = printed(replace(made(probability), condition=label, primary_concern=name, leading=(first,)))
    assert said in shown
    assert "resemble" not in shown


def test_how_good_the_run_is_stands_above_the_answer():
    """What it is and what was measured come first, then the answer, the words and the recommendation."""
    shown = printed(made(0.95))
    parts = (ABOUT, "strongly resembles", "95%", "fatigue: ", "Ask a doctor.")
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)


def test_where_nothing_is_recommended_nothing_is_shown():
    """For everyday life the card ends after the symptoms."""
    shown = printed(replace(made(0.95), recommendation=None, key_symptoms=()))
    assert "Ask a doctor" not in shown
    assert "None" not in shown
    assert "none that words of the description bear out" in shown
