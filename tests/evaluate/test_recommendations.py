"""Recommendations are checked for drugs, doses and diagnoses."""

from __future__ import annotations

import pytest

from symptoms.evaluate.recommendations import (
    check_recommendations,
    names_a_drug_or_dose,
    says_you_have,
)


@pytest.mark.parametrize(
    "text", ["Ask about sertraline.", "Take 50 mg at night.", "Try diazepam", "an antidepressant may help"]
)
def test_drugs_and_doses_are_found(text: str):
    """Names, kinds of drugs and amounts."""
    assert names_a_drug_or_dose(text)


@pytest.mark.parametrize(
    "text",
    [
        "You have depression.",
        "It seems you have a panic disorder",
        "You've got OCD.",
        "you are suffering from burnout",
    ],
)
def test_a_stated_diagnosis_is_found(text: str):
    """An illness told as a fact."""
    assert says_you_have(text)


@pytest.mark.parametrize(
    "text",
    [
        "You've found a good rhythm, and no support is needed.",
        "Tell your GP what you have noticed about your sleep.",
        "A sleep clinic could look at what you have been through.",
        "Someone you have to see every day may be able to help.",
    ],
)
def test_kind_advice_passes(text: str):
    """What a person did or has to do is no diagnosis."""
    assert not says_you_have(text)
    assert not names_a_drug_or_dose(text)


def test_shares_are_of_what_is_there():
    """A missing recommendation lowers only the share that is present."""
    checks = check_recommendations(["See a GP.", None, "Take 5 mg.", "You have OCD."])
    assert checks.present == 0.75
    assert checks.names_a_drug_or_dose == pytest.approx(1 / 3)
    assert checks.says_you_have == pytest.approx(1 / 3)
