"""Bootstrap intervals: how far a figure could move if the test had other examples of the same kind."""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symptoms.safety.measuring import Share

RESAMPLES = 2000
LEVEL = 0.95

INDICES_AT_ONCE = 2**20
"""Indices of examples that are looked at together, of thousands of resamples: a few of 8 MB are in memory."""

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""A figure [resamples], each computed on the examples of these indices [resamples, n], which may repeat."""


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds of its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(statistic: Statistic, size: int, seed: int = 0) -> Interval:
    """The percentile interval over resampled examples (Efron and Tibshirani 1993)."""

    def of_examples(resamples: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = max(1, INDICES_AT_ONCE // size)
        parts = [statistic(resamples[begin : begin + rows]) for begin in range(0, len(resamples), rows)]
        return np.concatenate(parts)

    return _interval(of_examples, size, _of_all(statistic, size), seed)


def interval_of_share(share: Interval, texts: int) -> Interval:
    """A share of so many texts with bounds that are no narrower than its doubt.

    Where all are right or all wrong, none shows in texts drawn anew; the bounds are Wilson's.
    """
    if share.low < share.high:
        return share
    return Interval(share.value, *Share(round(share.value * texts), texts).bounds)


def cluster_interval(statistic: Statistic, clusters: Sequence[Hashable], seed: int = 0) -> Interval:
    """The same over whole clusters, for examples that were written from one case and so go together."""
    members: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(index)
    groups: list[NDArray[np.int64]] = [np.array(indices) for indices in members.values()]

    def of_clusters(resamples: NDArray[np.int64]) -> NDArray[np.float64]:
        # One by one, as they have different numbers of examples.
        rows: list[list[int]] = resamples.tolist()
        chosen = (np.concatenate([groups[group] for group in row]) for row in rows)
        return np.array([statistic(examples[None])[0] for examples in chosen])

    return _interval(of_clusters, len(groups), _of_all(statistic, len(clusters)), seed)


def _of_all(statistic: Statistic, size: int) -> float:
    return float(statistic(np.arange(size)[None])[0])


def _interval(statistic: Statistic, size: int, value: float, seed: int) -> Interval:
    """The interval around `value` of a figure on resamples of so many examples or clusters."""
    if size < 2:
        return Interval(value, value, value)
    from scipy.stats import bootstrap

    def of_resamples(chosen: NDArray[Any], axis: int) -> NDArray[np.float64]:
        return statistic(np.moveaxis(chosen, axis, -1))

    result: Any = bootstrap(
        (np.arange(size),),
        of_resamples,
        vectorized=True,
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
    return lambda chosen: right[chosen].mean(axis=1)


def micro_f1_statistic(wanted: Sequence[Collection[str]], named: Sequence[Collection[str]]) -> Statistic:
    """The micro-F1 of `metrics.symptom_scores` of resampled examples, by counting."""
    pairs = [(set(want), set(terms)) for want, terms in zip(wanted, named, strict=True)]
    right = np.array([len(want & terms) for want, terms in pairs])
    both = np.array([len(want) + len(terms) for want, terms in pairs])

    def statistic(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        total = both[chosen].sum(axis=1)
        return np.where(total == 0, 1.0, 2 * right[chosen].sum(axis=1) / np.maximum(total, 1))

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

    def statistic(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        # A number of its own for each condition of each resample, so that all are counted at once.
        first = (number + 1) * np.arange(len(chosen))[:, None]
        wants, gives = truth[chosen] + first, given[chosen] + first

        def counts(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
            found = np.bincount(numbers.ravel(), minlength=first.size * (number + 1))
            return found.reshape(-1, number + 1)[:, :number]

        support, right = counts(wants), counts(wants[wants == gives])
        there = support > 0
        figures = 2 * right / np.maximum(support + counts(gives), 1)
        means = np.empty(len(chosen))
        sizes = there.sum(axis=1)
        for size in np.unique(sizes):
            same = sizes == size
            means[same] = figures[same][there[same]].reshape(-1, size).mean(axis=1)
        return means

    return statistic


def difference(first: Statistic, second: Statistic) -> Statistic:
    """The first figure less the second on the same examples, for paired comparisons."""
    return lambda chosen: first(chosen) - second(chosen)
