"""Bootstrap intervals hold the value, repeat with their seed, and widen for clusters."""

from __future__ import annotations

import numpy as np
import pytest

from symptoms.evaluate.measures.intervals import (
    accuracy_statistic,
    bootstrap_interval,
    cluster_interval,
    difference,
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


def test_one_example_has_no_width():
    """A single example cannot be resampled."""
    interval = bootstrap_interval(lambda chosen: float(np.mean(chosen)), 1)
    assert interval.low == interval.high == interval.value
