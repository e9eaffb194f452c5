"""Bootstrap intervals hold the value, repeat with their seed, and widen for clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.evaluate.measures import intervals
from symptoms.evaluate.measures.intervals import (
    accuracy_statistic,
    bootstrap_interval,
    cluster_interval,
    difference,
    macro_f1_statistic,
    micro_f1_statistic,
)

WANTED = ["a", "b"] * 60
ANSWERED = ["a"] * 90 + ["b"] * 30


def test_an_interval_is_about_that_of_the_normal_approximation():
    """For an accuracy of 120 answers, the bounds lie about 1.96 standard errors away."""
    statistic = accuracy_statistic(WANTED, ANSWERED)
    interval = bootstrap_interval(statistic, 120)
    error = (interval.value * (1 - interval.value) / 120) ** 0.5
    assert interval.low == pytest.approx(interval.value - 1.96 * error, abs=0.02)
    assert interval.high == pytest.approx(interval.value + 1.96 * error, abs=0.02)


def test_a_seed_repeats_an_interval():
    """The same seed gives the same bounds, another one others."""
    statistic = accuracy_statistic(WANTED, ANSWERED)
    first = bootstrap_interval(statistic, 120, seed=1)
    assert first == bootstrap_interval(statistic, 120, seed=1)
    assert first != bootstrap_interval(statistic, 120, seed=2)


def test_clusters_widen_an_interval():
    """Ten texts of one case tell less than ten cases."""
    answered = ["a"] * 60 + ["x"] * 60
    statistic = accuracy_statistic(["a"] * 120, answered)
    single = bootstrap_interval(statistic, 120)
    clustered = cluster_interval(statistic, [index // 10 for index in range(120)])
    assert clustered.value == single.value
    assert clustered.high - clustered.low > 2 * (single.high - single.low)


def test_a_paired_difference_of_equal_answers_is_exactly_zero():
    """Pairing removes what both share."""
    statistic = accuracy_statistic(WANTED, ANSWERED)
    interval = bootstrap_interval(difference(statistic, statistic), 120)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.0, 0.0)


@given(st.data())
def test_resamples_together_are_each_what_they_are_alone(data: st.DataObject):
    """To the last bit, also where resamples miss conditions or name nothing at all."""
    size = data.draw(st.integers(1, 12))
    labels = st.sampled_from([f"condition {number}" for number in range(12)])
    wanted = data.draw(st.lists(labels, min_size=size, max_size=size))
    answered = data.draw(st.lists(st.none() | labels, min_size=size, max_size=size))
    terms = st.lists(st.sets(st.sampled_from("abc")), min_size=size, max_size=size)
    resamples = np.random.default_rng(data.draw(st.integers(0, 9))).integers(size, size=(20, size))
    for statistic in (
        accuracy_statistic(wanted, answered),
        macro_f1_statistic(wanted, answered),
        micro_f1_statistic(data.draw(terms), data.draw(terms)),
    ):
        alone = np.concatenate([statistic(resample[None]) for resample in resamples])
        assert np.array_equal(statistic(resamples), alone)


def test_a_resample_counts_the_conditions_that_it_has():
    """One that misses a condition has the mean over the others; one without any symptom is all right."""
    statistic = macro_f1_statistic(["a", "b"], ["a", "a"])
    assert statistic(np.array([[0, 0], [1, 1], [0, 1]])) == pytest.approx([1.0, 0.0, 1 / 3])
    symptoms = micro_f1_statistic([{"x"}, set()], [{"x", "y"}, set()])
    assert symptoms(np.array([[0, 0], [1, 1]])) == pytest.approx([2 / 3, 1.0])


def test_many_examples_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch):
    """Of so many that not all resamples fit, the interval is the same."""
    statistic = macro_f1_statistic(WANTED, ANSWERED)
    whole = bootstrap_interval(statistic, 120)
    monkeypatch.setattr(intervals, "INDICES_AT_ONCE", 1000)
    assert bootstrap_interval(statistic, 120) == whole


def test_one_example_has_no_width():
    """A single example cannot be resampled."""
    interval = bootstrap_interval(lambda chosen: np.mean(chosen, axis=1), 1)
    assert interval.low == interval.high == interval.value
