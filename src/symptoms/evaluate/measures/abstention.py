"""What is gained when the model may say "not sure", and whether it knows what lies outside its task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import kept_back, out_of_scope_columns
from symptoms.taxonomy import EVERYDAY, OUT_OF_SCOPE

COVERAGE = 0.8
RISK, CONFIDENCE = 0.3, 0.9
"""The share of given answers that may be wrong, and how sure it has to be that no more are."""
FIRST_COVERAGE, COVERAGE_STEP = 0.25, 0.05
"""How many of the surest answers a threshold is tried on first, and how many more each time."""
FEW_NAMED = 0.05
"""The share of dev's texts without a condition to name for which one may be named all the same: of few such
texts none, since what lets one of ten pass on dev let three of ten pass on the tests."""


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


def threshold_for_risk(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], risk: float = RISK
) -> float | None:
    """The confidence from which on at most the share `risk` of the answers is wrong, as sure as `CONFIDENCE`.

    To be chosen on dev only, from the confidence [n] of its answers and whether they are right [n]. None
    where no threshold is known to keep the risk, as with few examples or poor answers.

    The bound is that of selection with guaranteed risk (Geifman and El-Yaniv 2017, "Selective classification
    for deep neural networks", lemma 3.1). Their binary search shares the doubt 1 - `CONFIDENCE` among its
    steps and so needs many examples; instead the surest `FIRST_COVERAGE` is tried, then ever more until the
    bound is broken for the first time, each with the whole doubt (testing in a fixed sequence: Angelopoulos
    et al. 2021, "Learn then test", section 3.2). The guarantee is for texts of the same kind, and for a
    confidence that was not fitted on the same examples; one fitted temperature strains that a little.
    """
    surest_first = np.sort(confidence)[::-1]
    found: float | None = None
    for share in np.arange(FIRST_COVERAGE, 1 + COVERAGE_STEP / 2, COVERAGE_STEP):
        threshold = float(surest_first[min(len(confidence), int(np.ceil(share * len(confidence)))) - 1])
        answered = confidence >= threshold
        if risk_bound(int((~right[answered]).sum()), int(answered.sum()), 1 - CONFIDENCE) > risk:
            break
        found = threshold
    return found


def risk_bound(wrong: int, answered: int, doubt: float) -> float:
    """The largest risk under which so few wrong answers of so many have at least the probability `doubt`.

    The inverse of the binomial tail (Clopper and Pearson 1934), as a quantile of the beta distribution.
    """
    if wrong >= answered:
        return 1.0
    from scipy.stats import beta

    return float(beta.ppf(1 - doubt, wrong + 1, answered - wrong))


def names_a_condition(
    probabilities: NDArray[np.float64], outside: Sequence[int], bound: float | None
) -> NDArray[np.bool_]:
    """Whether each row of probabilities [n, labels] may be answered with a condition, bool [n].

    The likeliest label has to be one, and the labels at the places `outside` together less probable than
    `bound`; None for no bound.
    """
    condition = ~np.isin(probabilities.argmax(axis=1), outside)
    return condition & ~kept_back(probabilities, outside, bound)


def answering_confidence(
    probabilities: NDArray[np.float64], label_ids: Sequence[str], bound: float | None
) -> NDArray[np.float64]:
    """The likeliest label's probability [n], and -1 where it is a condition that the bound keeps back."""
    hidden = kept_back(probabilities, out_of_scope_columns(label_ids), bound)
    return np.where(hidden, -1.0, probabilities.max(axis=1))


def out_of_scope_bound(
    probabilities: NDArray[np.float64], wanted: NDArray[np.int64], outside: Sequence[int]
) -> float | None:
    """The probability of having no condition to name from which on none is named; to be chosen on dev only.

    The largest under which at most the share `FEW_NAMED` of dev's texts without one get one, from
    probabilities [n, labels] and the right labels' indices [n]. None where no bound is needed for that.
    """
    benign = np.isin(wanted, outside)
    named = names_a_condition(probabilities, outside, None) & benign
    allowed = int(FEW_NAMED * int(benign.sum()))
    if int(named.sum()) <= allowed:
        return None
    return float(np.sort(probabilities[named][:, outside].sum(axis=1))[allowed])


@dataclass(frozen=True)
class Abstention:
    """What a threshold does: the share that is answered, and the accuracy among it and among all.

    `threshold` is None where none keeps the risk; then nothing is answered, and the accuracy among it None.
    `named_without_reason` is the share of texts without a condition to name that are answered with one, None
    where the data has no such texts.
    """

    threshold: float | None
    coverage: float
    accuracy_when_answered: float | None
    accuracy_of_all: float
    named_without_reason: float | None = None


def abstention(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], threshold: float | None
) -> Abstention:
    """Abstaining below a threshold, on answers with this confidence [n] that are right or not [n]."""
    answered = np.zeros_like(right) if threshold is None else confidence >= threshold
    return Abstention(
        threshold=threshold,
        coverage=float(answered.mean()),
        accuracy_when_answered=float(right[answered].mean()) if answered.any() else None,
        accuracy_of_all=float(right.mean()),
    )


def accuracy_at_coverage(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Accuracy among the surest answers, at least the share `COVERAGE` of them; equals are kept together."""
    surest_first = np.sort(confidence)[::-1]
    kept = confidence >= surest_first[int(np.ceil(COVERAGE * len(confidence))) - 1]
    return float(right[kept].mean())


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
    columns = out_of_scope_columns(label_ids)
    auroc: float | None = None
    if columns and outside.any() and not outside.all():
        from sklearn.metrics import roc_auc_score

        auroc = float(roc_auc_score(outside, probabilities[:, columns].sum(axis=1)))
    benign = [answer for want, answer in zip(wanted, answered, strict=True) if want == EVERYDAY]
    rate = float(np.mean([answer not in OUT_OF_SCOPE for answer in benign])) if benign else None
    return OutOfScope(auroc, rate)
