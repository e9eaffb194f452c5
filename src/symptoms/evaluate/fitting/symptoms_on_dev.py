"""What dev decides of key symptoms: how they are read, and whether the model's own list is better."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import (
    SymptomCalibration,
    SymptomModel,
    SymptomReader,
    TrainedModel,
    fit_symptom_model,
)
from symptoms.data import Dataset
from symptoms.evaluate.measures.metrics import symptom_scores
from symptoms.evaluate.predictions import predict
from symptoms.evaluate.scoring import Track

FEWEST_FOR_EACH_LABEL = 5
"""With fewer training texts of a label its words, and what goes with it, are chance, and not used."""
FEWEST_ON_DEV = 30
"""Annotated dev texts that are needed to fit the weights."""
WRITTEN_ON_DEV = 60
"""Dev texts of which the model writes its own list, so that the better of the two is used."""


def fit_symptom_reader(
    model: TrainedModel, train: Dataset, dev: Dataset, probabilities: NDArray[np.float64], track: Track
) -> SymptomReader | None:
    """A reader fitted on the training set and on dev, whose labels have these probabilities [n, labels].

    None where there are too few annotated texts, or where what the model writes is better on dev.
    """
    fitted = _fitted_on(train, [label.id for label in dev.labels])
    rows = [row for row, one in enumerate(dev.examples) if one.symptoms is not None]
    if fitted is None or len(rows) < FEWEST_ON_DEV:
        return None
    examples = [dev.examples[row] for row in rows]
    wanted = [one.symptoms or () for one in examples]
    texts = [fitted.speller.spelt(model.mended(one.input)).text for one in examples]
    figures = np.stack(
        [fitted.figures(probabilities[row], text) for row, text in zip(rows, texts, strict=True)]
    )
    right = np.array([[term in terms for term in fitted.terms] for terms in wanted])
    if not right.any():
        return None
    reader = SymptomReader(fitted, _weighed(figures, right))
    named = [reader.named(probabilities[row], text) for row, text in zip(rows, texts, strict=True)]
    count = min(WRITTEN_ON_DEV, len(rows))
    chosen = [number * len(rows) // count for number in range(count)]
    advance = track("symptoms on dev", len(chosen))
    asked = [examples[place] for place in chosen]
    written = [one.written_symptoms or () for one in predict(model, asked, dev.labels, advance, most=0)]
    if _micro_f1(wanted, written, chosen) > _micro_f1(wanted, [named[place] for place in chosen], chosen):
        return None
    return reader


def best_threshold(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The probability from which on terms named have the best micro-F1, between two that occur."""
    order = (-probabilities).argsort(axis=None, kind="stable")
    found = np.cumsum(right.ravel()[order])
    micro_f1 = 2 * found / (right.sum() + np.arange(1, len(order) + 1))
    last = int(micro_f1.argmax())
    ordered = probabilities.ravel()[order]
    return float((ordered[last] + ordered[min(last + 1, len(ordered) - 1)]) / 2)


def _fitted_on(train: Dataset, labels: Sequence[str]) -> SymptomModel | None:
    annotated = [one for one in train.examples if one.symptoms is not None]
    conditions = [one.condition for one in annotated]
    counts = Counter(conditions)
    if min(counts[label] for label in labels) < FEWEST_FOR_EACH_LABEL:
        return None
    return fit_symptom_model(
        [one.input for one in annotated], conditions, [one.symptoms or () for one in annotated], labels
    )


def _weighed(figures: NDArray[np.float64], right: NDArray[np.bool_]) -> SymptomCalibration:
    """The weights of the figures [n, terms, 3] by whether a term is right, bool [n, terms]."""
    from sklearn.linear_model import LogisticRegression

    rows = figures.reshape(-1, figures.shape[-1])
    fitted = LogisticRegression().fit(rows, right.ravel())
    probabilities = fitted.predict_proba(rows)[:, 1].reshape(right.shape)
    conditions, words, cues = (float(weight) for weight in fitted.coef_[0])
    return SymptomCalibration(
        weights=(conditions, words, cues),
        offset=float(fitted.intercept_[0]),
        threshold=best_threshold(probabilities, right),
        examples=len(right),
    )


def _micro_f1(
    wanted: Sequence[Sequence[str]], named: Sequence[Sequence[str]], chosen: Sequence[int]
) -> float:
    return symptom_scores([wanted[place] for place in chosen], named, [()] * len(chosen)).micro_f1
