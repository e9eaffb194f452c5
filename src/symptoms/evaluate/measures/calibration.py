"""Whether a stated probability can be taken at its word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import probabilities_of

BINS = 10
COLDEST, HOTTEST = 0.05, 50.0
STEPS = 500
"""Temperatures that are tried above the likeliest: a seventh of a percent apart."""
FEWEST_TO_DOUBT = 25
"""Of fewer texts the standard error says little; no threshold can be shown on them either."""
MOST_CAUTION = 2.0
"""How many times the likeliest temperature the cautious one may be."""
SMALLEST = 1e-300


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers with a confidence between `low` and `high`: how sure they were, and how many were right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of the leading label's probability.

    `ece` is the expected calibration error (Naeini et al. 2015): the gap between confidence and accuracy, as
    a mean over ten bins of equal width weighted by their counts. `brier` is the mean squared distance between
    the probabilities of all labels and the truth (Brier 1950), 0 at best and 2 at worst.
    `negative_log_likelihood` is per example, in nats.
    """

    ece: float
    brier: float
    negative_log_likelihood: float
    bins: tuple[ReliabilityBin, ...]


def fit_temperature(logprobs: NDArray[np.float64], wanted: NDArray[np.int64]) -> float:
    """The temperature under which the right labels are likeliest (Guo et al. 2017); to be fitted on dev only.

    `logprobs` [n, labels], `wanted` [n] indices of the right labels.
    """
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(probabilities_of(logprobs, float(np.exp(log_temperature))), wanted)

    found: Any = minimize_scalar(cost, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def cautious_temperature(logprobs: NDArray[np.float64], wanted: NDArray[np.int64]) -> float:
    """The highest temperature that dev does not tell from the likeliest one by more than a standard error.

    What has to be read later is less like the training set than dev is, which comes of the same hands, so
    that a doubt about the temperature is one about being too sure: the rule of one standard error (Breiman et
    al. 1984, section 3.4.3) between temperatures, over the texts' losses in pairs. With many texts it is
    `fit_temperature`, and so it is with fewer than `FEWEST_TO_DOUBT`; it is at most `MOST_CAUTION` times
    that. `logprobs` [n, labels], `wanted` [n] indices of the right labels.
    """
    likeliest = fit_temperature(logprobs, wanted)
    if len(wanted) < FEWEST_TO_DOUBT:
        return likeliest
    rows = np.arange(len(wanted))

    def losses(temperature: float) -> NDArray[np.float64]:
        return -np.log(np.clip(probabilities_of(logprobs, temperature)[rows, wanted], SMALLEST, None))

    at_best, chosen = losses(likeliest), likeliest
    for temperature in np.geomspace(likeliest, min(MOST_CAUTION * likeliest, HOTTEST), STEPS)[1:]:
        worse = losses(float(temperature)) - at_best
        if worse.mean() > worse.std() / np.sqrt(len(wanted)):
            break
        chosen = float(temperature)
    return chosen


def calibration(probabilities: NDArray[np.float64], wanted: NDArray[np.int64]) -> Calibration:
    """Calibration of `probabilities` [n, labels] against the right labels' indices [n]."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == wanted
    edges = np.linspace(0.0, 1.0, BINS + 1)
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        ReliabilityBin(
            low=float(edges[number]),
            high=float(edges[number + 1]),
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for number in range(BINS)
        if (inside := place == number).any()
    )
    truth = np.eye(probabilities.shape[1])[wanted]
    return Calibration(
        ece=sum(one.count * abs(one.confidence - one.accuracy) for one in bins) / len(wanted),
        brier=float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        negative_log_likelihood=negative_log_likelihood(probabilities, wanted),
        bins=bins,
    )


def label_indices(wanted: Sequence[str], label_ids: Sequence[str]) -> NDArray[np.int64]:
    """Where each wanted condition stands among the labels, int64 [n]."""
    place = {label: index for index, label in enumerate(label_ids)}
    return np.array([place[condition] for condition in wanted], dtype=np.int64)


def negative_log_likelihood(probabilities: NDArray[np.float64], wanted: NDArray[np.int64]) -> float:
    """Of the right labels' indices [n] under probabilities [n, labels], the mean for each example in nats."""
    chosen = probabilities[np.arange(len(wanted)), wanted]
    return float(-np.log(np.clip(chosen, SMALLEST, None)).mean())
