"""Abstaining: the curve, the threshold, and telling texts that are out of scope."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from symptoms.evaluate.measures.abstention import (
    RISK,
    abstention,
    accuracy_at_coverage,
    answering_confidence,
    names_a_condition,
    out_of_scope,
    out_of_scope_bound,
    out_of_scope_columns,
    risk_bound,
    risk_coverage,
    threshold_for_risk,
)
from symptoms.evaluate.measures.calibrator import Calibrator

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
def test_a_threshold_is_one_of_the_confidences_and_keeps_the_risk_on_dev(
    answers: list[tuple[float, bool]], risk: float
):
    """Whatever the answers are; the bound is never below the share that was seen."""
    confidence = np.array([sure for sure, _ in answers])
    right = np.array([good for _, good in answers])
    threshold = threshold_for_risk(confidence, right, risk)
    if threshold is not None:
        assert threshold in confidence
        accuracy = abstention(confidence, right, threshold).accuracy_when_answered
        assert accuracy is not None
        assert 1 - accuracy <= risk


def test_accuracy_is_counted_among_what_is_answered():
    """Of the surest 80% of five answers three of four are right."""
    assert accuracy_at_coverage(CONFIDENCE, RIGHT) == pytest.approx(0.75)
    assert abstention(CONFIDENCE, RIGHT, threshold=0.99).accuracy_when_answered is None


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


@pytest.mark.parametrize(
    ("wrong", "answered", "bound"), [(0, 10, 0.2057), (2, 20, 0.2448), (5, 5, 1.0), (0, 0, 1.0)]
)
def test_the_risk_bound_is_that_of_the_binomial_tail(wrong: int, answered: int, bound: float):
    """At the bound, so few wrong answers have just the probability of the doubt."""
    found = risk_bound(wrong, answered, 0.1)
    assert found == pytest.approx(bound, abs=1e-4)
    if found < 1:
        assert binom.cdf(wrong, answered, found) == pytest.approx(0.1)


def test_the_threshold_keeps_the_risk_as_often_as_it_says():
    """Of 400 dev sets at most one in ten, but for chance, gives a threshold that lets too many pass."""
    generator = np.random.default_rng(0)
    broken = found = 0
    for _ in range(400):
        confidence = generator.uniform(0, 1, 200)
        threshold = threshold_for_risk(confidence, generator.uniform(0, 1, 200) < confidence)
        if threshold is not None:
            found += 1
            # The true risk above t of a confidence that is uniform and calibrated is (1 - t) / 2.
            broken += (1 - threshold) / 2 > RISK
    assert found > 300
    assert broken <= 60


def test_no_threshold_is_found_for_few_or_poor_answers():
    """Three right answers prove nothing, nor do many that are right by half; a few dozen right ones do."""
    generator = np.random.default_rng(0)
    assert threshold_for_risk(np.array([0.9, 0.8, 0.7]), np.full(3, True)) is None
    assert threshold_for_risk(generator.uniform(0, 1, 300), generator.uniform(0, 1, 300) < 0.5) is None
    sure = np.linspace(0.5, 1, 40)
    assert threshold_for_risk(sure, np.full(40, True)) == 0.5


def test_without_a_threshold_nothing_is_answered():
    """Coverage is 0 then, and there is no accuracy among what is answered."""
    result = abstention(CONFIDENCE, RIGHT, None)
    assert (result.coverage, result.accuracy_when_answered, result.accuracy_of_all) == (0.0, None, 0.6)


OUTSIDE_IDS = ("ocd", "panic", "no_clinical_concern")


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60))
def test_the_bound_keeps_named_texts_without_a_condition_few(rows: list[tuple[float, float, float]]):
    """Of dev's texts without a reason to name a condition at most one in twenty gets one."""
    weights = np.array(rows) + 1e-6
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    outside = out_of_scope_columns(OUTSIDE_IDS)
    wanted = np.arange(len(rows)) % 3
    bound = out_of_scope_bound(probabilities, wanted, outside)
    named = names_a_condition(probabilities, outside, bound) & (wanted == 2)
    assert named.sum() <= 0.05 * (wanted == 2).sum()
    if bound is None:
        assert named.sum() == (names_a_condition(probabilities, outside, None) & (wanted == 2)).sum()


def test_where_all_may_be_answered_the_threshold_is_still_a_probability():
    """Dev is right throughout but for one text that the bound keeps back: the threshold is no less than 0."""
    rows = [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.02, 0.03, 0.95]] * 20 + [[0.8, 0.1, 0.1]] * 8
    wanted = np.array([0, 1, 2] * 20 + [2] * 8)
    calibrator = Calibrator.fit(np.log(np.array(rows)), wanted, 0.3, OUTSIDE_IDS)
    assert calibrator.out_of_scope_bound is not None
    assert calibrator.threshold == 0.0


def test_without_such_labels_nothing_is_kept_back():
    """A data set of conditions alone has no bound, and every text is answered by its confidence."""
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9]])
    assert out_of_scope_bound(probabilities, np.array([0, 1]), []) is None
    assert answering_confidence(probabilities, ("ocd", "panic"), 0.0).tolist() == [0.6, 0.9]


def test_what_is_kept_back_is_answered_at_no_threshold():
    """The likeliest is a condition, and the text may give no reason for one: no confidence suffices."""
    probabilities = np.array([[0.8, 0.1, 0.1], [0.8, 0.18, 0.02], [0.1, 0.1, 0.8]])
    assert answering_confidence(probabilities, OUTSIDE_IDS, 0.05).tolist() == [-1.0, 0.8, 0.8]
