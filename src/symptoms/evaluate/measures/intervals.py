"""Bootstrap intervals: how far a figure could move if the test had other examples of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95

Statistic = Callable[[NDArray[np.int64]], float]
"""A figure computed on the examples of these indices, which may repeat."""


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds of its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(statistic: Statistic, size: int, seed: int = 0) -> Interval:
    """The percentile interval over resampled examples (Efron and Tibshirani 1993)."""
    return _interval(statistic, [np.array([index]) for index in range(size)], seed)


def cluster_interval(statistic: Statistic, clusters: Sequence[Hashable], seed: int = 0) -> Interval:
    """The same over whole clusters, for examples that were written from one case and so go together."""
    members: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(index)
    return _interval(statistic, [np.array(indices) for indices in members.values()], seed)


def _interval(statistic: Statistic, groups: list[NDArray[np.int64]], seed: int) -> Interval:
    everything = np.concatenate(groups)
    value = statistic(np.sort(everything))
    if len(groups) < 2:
        return Interval(value, value, value)
    from scipy.stats import bootstrap

    def of_groups(chosen: NDArray[Any]) -> float:
        return statistic(np.concatenate([groups[int(group)] for group in chosen]))

    result: Any = bootstrap(
        (np.arange(len(groups)),),
        of_groups,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return Interval(value, float(low), float(high))


def accuracy_statistic(wanted: Sequence[str], answered: Sequence[str | None]) -> Statistic:
    """`metrics.accuracy` of resampled examples."""
    right = np.array([answer == want for want, answer in zip(wanted, answered, strict=True)], dtype=float)
    return lambda chosen: float(right[chosen].mean())


def micro_f1_statistic(wanted: Sequence[Collection[str]], named: Sequence[Collection[str]]) -> Statistic:
    """The micro-F1 of `metrics.symptom_scores` of resampled examples, by counting."""
    pairs = [(set(want), set(terms)) for want, terms in zip(wanted, named, strict=True)]
    right = np.array([len(want & terms) for want, terms in pairs])
    both = np.array([len(want) + len(terms) for want, terms in pairs])

    def statistic(chosen: NDArray[np.int64]) -> float:
        total = both[chosen].sum()
        return float(2 * right[chosen].sum() / total) if total else 1.0

    return statistic


def macro_f1_statistic(wanted: Sequence[str], answered: Sequence[str | None]) -> Statistic:
    """`metrics.macro_f1` of resampled examples, by counting, because it is computed thousands of times.

    The mean is over the conditions that occur in all of `wanted`; one that a resample happens to miss and
    that nothing was answered for counts as not there.
    """
    conditions = {condition: index for index, condition in enumerate(dict.fromkeys(wanted))}
    number = len(conditions)
    truth = np.array([conditions[want] for want in wanted])
    given = np.array([conditions.get(answer or "", number) for answer in answered])

    def statistic(chosen: NDArray[np.int64]) -> float:
        wants, gives = truth[chosen], given[chosen]
        support = np.bincount(wants, minlength=number)
        predicted = np.bincount(gives, minlength=number + 1)[:number]
        right = np.bincount(wants[wants == gives], minlength=number)
        there = support > 0
        return float((2 * right[there] / (support + predicted)[there]).mean())

    return statistic


def difference(first: Statistic, second: Statistic) -> Statistic:
    """The first figure less the second on the same examples, for paired comparisons."""
    return lambda chosen: first(chosen) - second(chosen)
