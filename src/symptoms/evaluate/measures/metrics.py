"""Figures of a set of answers, each a pure function. None as an answer is wrong, whatever was wanted.

Where scikit-learn has the metric it is scikit-learn's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

UNANSWERED = "(no answer)"
Answers = Sequence[str | None]


@dataclass(frozen=True)
class ConditionScore:
    """How one condition fared: `support` examples have it, and `predicted` were given it."""

    condition: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def accuracy(wanted: Sequence[str], answered: Answers) -> float:
    """The share of right answers."""
    return float(np.mean([a == w for w, a in zip(wanted, answered, strict=True)]))


def macro_f1(wanted: Sequence[str], answered: Answers) -> float:
    """The mean over the conditions in `wanted` of F1, the harmonic mean of precision and recall."""
    return float(np.mean([score.f1 for score in condition_scores(wanted, answered)]))


def balanced_accuracy(wanted: Sequence[str], answered: Answers) -> float:
    """The mean over the conditions of the share that was recognised."""
    return float(np.mean([score.recall for score in condition_scores(wanted, answered)]))


def condition_scores(wanted: Sequence[str], answered: Answers) -> list[ConditionScore]:
    """Precision, recall and F1 of each condition that occurs in `wanted`, in order of first appearance."""
    from sklearn.metrics import precision_recall_fscore_support

    conditions = list(dict.fromkeys(wanted))
    given = [UNANSWERED if answer is None else answer for answer in answered]
    precision, recall, f1, support = precision_recall_fscore_support(
        wanted, given, labels=conditions, average=None, zero_division=0.0
    )
    return [
        ConditionScore(
            condition=condition,
            precision=float(precision[index]),
            recall=float(recall[index]),
            f1=float(f1[index]),
            support=int(support[index]),
            predicted=given.count(condition),
        )
        for index, condition in enumerate(conditions)
    ]


def confusion(wanted: Sequence[str], answered: Answers, conditions: Sequence[str]) -> list[list[int]]:
    """[wanted][answered] counts in the order of the conditions; the last column counts no answer."""
    from sklearn.metrics import confusion_matrix

    given = [UNANSWERED if answer is None else answer for answer in answered]
    labels = [*conditions, UNANSWERED]
    return [row.tolist() for row in confusion_matrix(wanted, given, labels=labels)][:-1]


@dataclass(frozen=True)
class SymptomScores:
    """How well the key symptoms were named; `micro_f1` pools all terms, `macro_f1` is the mean over terms.

    `unsupported_rate` is the share of named symptoms that neither the annotation nor the text's own words
    bear out.
    """

    micro_f1: float
    macro_f1: float
    unsupported_rate: float
    examples: int


def symptom_scores(
    wanted: Sequence[Collection[str]], named: Sequence[Collection[str]], supported: Sequence[Collection[str]]
) -> SymptomScores:
    """Scores over examples whose symptoms are annotated; what could not be read names none.

    `supported` are the terms that the words of each text bear out.
    """
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    terms = sorted({term for group in (*wanted, *named) for term in group})
    if not terms:
        return SymptomScores(1.0, 1.0, 0.0, len(wanted))
    binarizer = MultiLabelBinarizer(classes=terms).fit([terms])
    truth, given = binarizer.transform(wanted), binarizer.transform(named)
    annotated = [index for index in range(len(terms)) if truth[:, index].any()]
    total = sum(len(group) for group in named)
    unsupported = sum(
        term not in right and term not in borne_out
        for group, right, borne_out in zip(named, wanted, supported, strict=True)
        for term in group
    )
    return SymptomScores(
        micro_f1=float(f1_score(truth, given, average="micro", zero_division=0.0)),
        macro_f1=float(f1_score(truth[:, annotated], given[:, annotated], average="macro", zero_division=0.0))
        if annotated
        else 0.0,
        unsupported_rate=unsupported / total if total else 0.0,
        examples=len(wanted),
    )
