"""Abstaining: the curve, the threshold, and telling texts that are out of scope."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.evaluate.abstention import (
    abstention,
    accuracy_at_coverage,
    out_of_scope,
    risk_coverage,
    threshold_at,
)

CONFIDENCE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
RIGHT = np.array([True, True, False, True, False])


def test_the_curve_runs_from_the_surest_to_all():
    """Risk is the share of errors among the answers that are kept."""
    curve = risk_coverage(CONFIDENCE, RIGHT)
    assert curve.coverage == (0.2, 0.4, 0.6, 0.8, 1.0)
    assert curve.risk == pytest.approx((0, 0, 1 / 3, 1 / 4, 2 / 5))
    assert curve.area == pytest.approx(np.mean(curve.risk))


def test_answers_of_equal_confidence_are_kept_together():
    """With one confidence for all there is one point, whatever the order of the examples."""
    curve = risk_coverage(np.full(5, 0.5), RIGHT)
    assert (curve.coverage, curve.risk) == ((1.0,), (0.4,))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_threshold_reaches_the_coverage_it_was_chosen_for(answers: list[tuple[float, bool]], wanted: float):
    """At least that share of the same answers is given."""
    confidence = np.array([sure for sure, _ in answers])
    right = np.array([good for _, good in answers])
    assert abstention(confidence, right, threshold_at(confidence, wanted)).coverage >= wanted - 1e-9


def test_accuracy_is_counted_among_what_is_answered():
    """Of the surest 80% of five answers three of four are right."""
    assert accuracy_at_coverage(CONFIDENCE, RIGHT) == pytest.approx(0.75)
    assert abstention(CONFIDENCE, RIGHT, threshold=0.99).accuracy_when_answered == 0.0


def test_texts_out_of_scope_are_told_by_the_two_labels_together():
    """The AUROC is 1 where every such text has more of their probability, and benign texts count apart."""
    labels = ["panic", "no_clinical_concern", "not_enough_information"]
    probabilities = np.array([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]])
    wanted = ["panic", "no_clinical_concern", "no_clinical_concern"]
    result = out_of_scope(probabilities, labels, wanted, ["panic", "panic", "no_clinical_concern"])
    assert (result.auroc, result.over_diagnosis_rate) == (1.0, 0.5)


def test_other_label_sets_have_no_out_of_scope_figures():
    """Without those labels nothing is claimed."""
    result = out_of_scope(np.array([[0.5, 0.5]]), ["cat", "dog"], ["cat"], ["dog"])
    assert (result.auroc, result.over_diagnosis_rate) == (None, None)
