"""What is gained when the model may say "not sure", and whether it knows what lies outside its task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.8
OUT_OF_SCOPE = ("no_clinical_concern", "not_enough_information")
"""The taxonomy's labels for texts that give no reason to name a condition."""


@dataclass(frozen=True)
class RiskCoverage:
    """Error among the answers that are kept, when only the surest are.

    `coverage` and `risk` run together from the single surest answer to all of them; answers of equal
    confidence are kept or left together. `area` is the mean risk over all coverages (Geifman et al. 2019):
    lower is better.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float


def risk_coverage(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> RiskCoverage:
    """The curve of `confidence` [n] and `right` [n]."""
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    risks = np.cumsum(~right[order]) / kept
    last_of_equals = np.append(np.diff(confidence[order]) != 0, True)
    coverage, risk = kept[last_of_equals] / len(order), risks[last_of_equals]
    widths = np.diff(coverage, prepend=0.0)
    return RiskCoverage(tuple(coverage.tolist()), tuple(risk.tolist()), float((widths * risk).sum()))


def threshold_at(confidence: NDArray[np.float64], coverage: float = COVERAGE) -> float:
    """The confidence that at least this share of answers reaches; to be chosen on dev only."""
    surest_first = np.sort(confidence)[::-1]
    return float(surest_first[int(np.ceil(coverage * len(confidence))) - 1])


@dataclass(frozen=True)
class Abstention:
    """What a threshold does: the share that is answered, and the accuracy among it and among all."""

    threshold: float
    coverage: float
    accuracy_when_answered: float
    accuracy_of_all: float


def abstention(confidence: NDArray[np.float64], right: NDArray[np.bool_], threshold: float) -> Abstention:
    """Abstaining below a threshold; the accuracy of no answers at all counts as 0."""
    answered = confidence >= threshold
    return Abstention(
        threshold=threshold,
        coverage=float(answered.mean()),
        accuracy_when_answered=float(right[answered].mean()) if answered.any() else 0.0,
        accuracy_of_all=float(right.mean()),
    )


def accuracy_at_coverage(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], coverage: float = COVERAGE
) -> float:
    """Accuracy among the surest share of answers."""
    return abstention(confidence, right, threshold_at(confidence, coverage)).accuracy_when_answered


@dataclass(frozen=True)
class OutOfScope:
    """How well texts without a condition to name are told from the others.

    `auroc` is the chance that such a text gets a higher probability of the two out-of-scope labels together
    than a text that does describe a condition; 0.5 is guessing. `over_diagnosis_rate` is the share of texts
    without any clinical concern for which a condition was named.
    """

    auroc: float | None
    over_diagnosis_rate: float | None


def out_of_scope(
    probabilities: NDArray[np.float64],
    label_ids: Sequence[str],
    wanted: Sequence[str],
    answered: Sequence[str | None],
) -> OutOfScope:
    """Figures over texts wanted as one of `OUT_OF_SCOPE` against the rest; None where the data has none."""
    outside = np.array([condition in OUT_OF_SCOPE for condition in wanted])
    columns = [index for index, label in enumerate(label_ids) if label in OUT_OF_SCOPE]
    auroc: float | None = None
    if columns and outside.any() and not outside.all():
        from sklearn.metrics import roc_auc_score

        auroc = float(roc_auc_score(outside, probabilities[:, columns].sum(axis=1)))
    benign = [answer for want, answer in zip(wanted, answered, strict=True) if want == OUT_OF_SCOPE[0]]
    rate = float(np.mean([answer not in OUT_OF_SCOPE for answer in benign])) if benign else None
    return OutOfScope(auroc, rate)
