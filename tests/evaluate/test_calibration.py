"""Probabilities: their softmax, their temperature, and how far they can be believed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from symptoms.classifier import probabilities_of
from symptoms.evaluate.measures.calibration import (
    calibration,
    cautious_temperature,
    fit_temperature,
    label_indices,
)


def test_probabilities_are_the_softmax_of_the_log_probabilities():
    """They sum to one, keep the order, and a high temperature evens them out."""
    logprobs = np.log(np.array([[0.5, 0.2, 0.1], [0.1, 0.1, 0.8]]))
    plain = probabilities_of(logprobs)
    np.testing.assert_allclose(plain[0], [0.625, 0.25, 0.125])
    warm = probabilities_of(logprobs, temperature=100.0)
    np.testing.assert_allclose(warm, 1 / 3, atol=0.01)
    assert (warm.argmax(axis=1) == plain.argmax(axis=1)).all()


def test_very_unlikely_lines_do_not_overflow():
    """Log-probabilities of a thousand nats still give probabilities."""
    assert probabilities_of(np.array([-1000.0, -1001.0])).sum() == pytest.approx(1.0)


def test_the_temperature_undoes_overconfidence():
    """Log-probabilities drawn from their own softmax and then doubled are found to be twice too sharp."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 5))
    truth = np.array([generator.choice(5, p=row) for row in probabilities_of(logits)])
    assert fit_temperature(2.0 * logits, truth) == pytest.approx(2.0, rel=0.1)
    sharp = calibration(probabilities_of(2.0 * logits), truth)
    fitted = calibration(probabilities_of(2.0 * logits, 2.0), truth)
    assert fitted.ece < 0.04 < sharp.ece
    assert fitted.brier < sharp.brier


def test_few_texts_leave_a_doubt_that_counts_against_being_sure():
    """The temperature is above the likeliest one by what dev cannot tell: less, the more texts it has."""
    generator = np.random.default_rng(0)
    logits = 2.0 * generator.normal(size=(6400, 5))
    truth = np.array([generator.choice(5, p=row) for row in probabilities_of(logits)])
    apart = [
        cautious_temperature(logits[:count], truth[:count]) / fit_temperature(logits[:count], truth[:count])
        for count in (100, 6400)
    ]
    assert 1.08 < apart[0] < 1.6
    assert 1.0 < apart[1] < 1.05
    for count in (100, 6400):
        chosen = cautious_temperature(logits[:count], truth[:count])
        rows = np.arange(count)
        worse, best = (
            -np.log(probabilities_of(logits[:count], temperature)[rows, truth[:count]])
            for temperature in (chosen, fit_temperature(logits[:count], truth[:count]))
        )
        assert (worse - best).mean() <= (worse - best).std() / np.sqrt(count)


def test_of_a_tiny_dev_set_the_likeliest_temperature_is_taken_and_never_more_than_twice_it():
    """Two texts do not tell a temperature of 3 from one of 50, nor do 25 noisy ones bound it."""
    generator = np.random.default_rng(0)
    for count in (2, 24, 25, 40):
        for spread in (0.05, 1.0, 4.0):
            logits = spread * generator.normal(size=(count, 5))
            truth = generator.integers(0, 5, size=count)
            truth[: count // 2] = logits[: count // 2].argmax(axis=1)
            likeliest, chosen = fit_temperature(logits, truth), cautious_temperature(logits, truth)
            assert likeliest <= chosen <= 2 * likeliest
            assert count >= 25 or chosen == likeliest


def test_the_log_likelihood_is_that_of_scikit_learn():
    """Mean negative log-likelihood per example, in nats."""
    generator = np.random.default_rng(1)
    probabilities = probabilities_of(generator.normal(size=(50, 4)))
    truth = generator.integers(0, 4, size=50)
    expected = log_loss(truth, probabilities, labels=range(4))
    assert calibration(probabilities, truth).negative_log_likelihood == pytest.approx(expected)


def test_the_calibration_error_of_a_known_case():
    """Four answers at 75%, of which two are right, are off by 0.25; ten bins hold every answer once."""
    probabilities = np.tile([0.75, 0.25], (4, 1))
    result = calibration(probabilities, np.array([0, 0, 1, 1]))
    assert result.ece == pytest.approx(0.25)
    assert result.brier == pytest.approx((2 * 2 * 0.25**2 + 2 * 2 * 0.75**2) / 4)
    assert [(one.count, one.accuracy) for one in result.bins] == [(4, 0.5)]


def test_labels_are_found_by_their_place():
    """An index for every wanted condition."""
    assert label_indices(["b", "a", "b"], ["a", "b"]).tolist() == [1, 0, 1]
