"""All figures of one set of answers, whoever gave them: a trained model or a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import out_of_scope_columns
from symptoms.evaluate.measures.abstention import (
    Abstention,
    OutOfScope,
    RiskCoverage,
    abstention,
    accuracy_at_coverage,
    answering_confidence,
    names_a_condition,
    out_of_scope,
    risk_coverage,
)
from symptoms.evaluate.measures.calibration import (
    Calibration,
    calibration,
    label_indices,
)
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.evaluate.measures.intervals import (
    Interval,
    Statistic,
    accuracy_statistic,
    bootstrap_interval,
    cluster_interval,
    interval_of_share,
    macro_f1_statistic,
)
from symptoms.evaluate.measures.metrics import ConditionScore, balanced_accuracy, condition_scores
from symptoms.taxonomy import OUT_OF_SCOPE


@dataclass(frozen=True)
class Scores:
    """Figures of answers to `n` examples; intervals are 95% bootstrap intervals.

    An accuracy of 0 or 1 has Wilson's bounds, see `interval_of_share`.
    `abstention` uses the threshold chosen on dev, where there is one; `accuracy_at_80_coverage` keeps the
    surest 80% of these very examples.
    """

    n: int
    accuracy: Interval
    macro_f1: Interval
    balanced_accuracy: float
    conditions: tuple[ConditionScore, ...]
    calibration: Calibration
    risk_coverage: RiskCoverage
    accuracy_at_80_coverage: float
    abstention: Abstention | None
    out_of_scope: OutOfScope


@dataclass(frozen=True)
class Asked:
    """Texts of a test and the labels there were to choose from; `clusters` are texts that belong together."""

    wanted: tuple[str, ...]
    label_ids: tuple[str, ...]
    clusters: tuple[str, ...] | None = None

    def interval(self, statistic: Statistic, seed: int) -> Interval:
        """The statistic of all texts with its 95% bootstrap interval, over clusters where there are any."""
        if self.clusters is None:
            return bootstrap_interval(statistic, len(self.wanted), seed)
        return cluster_interval(statistic, self.clusters, seed)


def score(
    asked: Asked,
    probabilities: NDArray[np.float64],
    calibrator: Calibrator | None,
    seed: int,
    answered: Sequence[str | None] | None = None,
) -> Scores:
    """Scores of probabilities [n, labels]; the answer is the likeliest label unless `answered` is told."""
    likeliest = leading_labels(probabilities, asked.label_ids)
    answers = likeliest if answered is None else answered
    confidence = probabilities.max(axis=1)
    right = _equal(answers, asked.wanted)
    # People are shown the likeliest label, whether or not what was written beside it can be read.
    likeliest_right = right if answered is None else _equal(likeliest, asked.wanted)
    return Scores(
        n=len(asked.wanted),
        accuracy=interval_of_share(
            asked.interval(accuracy_statistic(asked.wanted, answers), seed), len(asked.wanted)
        ),
        macro_f1=asked.interval(macro_f1_statistic(asked.wanted, answers), seed),
        balanced_accuracy=balanced_accuracy(asked.wanted, answers),
        conditions=tuple(condition_scores(asked.wanted, answers)),
        calibration=calibration(probabilities, label_indices(asked.wanted, asked.label_ids)),
        risk_coverage=risk_coverage(confidence, right),
        accuracy_at_80_coverage=accuracy_at_coverage(confidence, right),
        abstention=None
        if calibrator is None
        else _abstention(asked, probabilities, likeliest_right, calibrator),
        out_of_scope=out_of_scope(probabilities, asked.label_ids, asked.wanted, answers),
    )


def _abstention(
    asked: Asked, probabilities: NDArray[np.float64], right: NDArray[np.bool_], calibrator: Calibrator
) -> Abstention:
    """What threshold and bound do together."""
    confidence = answering_confidence(probabilities, asked.label_ids, calibrator.out_of_scope_bound)
    found = abstention(confidence, right, calibrator.threshold)
    benign = np.isin(asked.wanted, OUT_OF_SCOPE)
    if calibrator.threshold is None or not benign.any():
        return found
    outside = out_of_scope_columns(asked.label_ids)
    named = (confidence >= calibrator.threshold) & names_a_condition(probabilities, outside, None)
    return replace(found, named_without_reason=float(named[benign].mean()))


def _equal(answers: Sequence[str | None], wanted: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([answer == want for answer, want in zip(answers, wanted, strict=True)])


def leading_labels(probabilities: NDArray[np.float64], label_ids: Sequence[str]) -> list[str]:
    """The likeliest label of each row of probabilities [n, labels]."""
    return [label_ids[int(row.argmax())] for row in probabilities]
