"""What can be had without a language model, fitted on the same training set and tuned on the same dev set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import probabilities_of
from symptoms.data import Dataset
from symptoms.evaluate.calibration import fit_temperature, label_indices

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
WORDS_ONLY, WORDS_AND_CHARACTERS = "words", "words and characters"
NEIGHBOUR_SHARPNESS = 20.0
"""Cosine similarities become probabilities by a softmax this sharp, before dev sets the temperature."""


@dataclass(frozen=True)
class Baseline:
    """A classifier of texts; `probabilities` gives float64 [n, labels], rows adding up to one."""

    name: str
    probabilities: Callable[[Sequence[str]], NDArray[np.float64]]


def fit_baselines(train: Dataset, dev: Dataset | None, seed: int) -> tuple[Baseline, ...]:
    """All baselines; what they choose is chosen on dev, or without it by the training set's own folds."""
    ids = [label.id for label in train.labels]
    texts = [example.input for example in train.examples]
    wanted = label_indices([example.condition for example in train.examples], ids)
    counts = np.bincount(wanted, minlength=len(ids)).astype(np.float64) + 1e-3
    prior = counts / counts.sum()
    fitted = [
        Baseline("majority", lambda asked: np.tile(prior, (len(asked), 1))),
        Baseline("keyword rules", _keyword_rules(train, prior)),
        _nearest_neighbour(texts, wanted, len(ids)),
        _linear("TF-IDF + logistic regression", _logistic, train, dev, seed),
        _linear("TF-IDF + linear SVM", _support_vectors, train, dev, seed),
    ]
    return tuple(baseline if dev is None else _calibrated(baseline, dev) for baseline in fitted)


def _calibrated(baseline: Baseline, dev: Dataset) -> Baseline:
    """The same answers with a temperature fitted on dev, as the model's own probabilities have."""
    ids = [label.id for label in dev.labels]
    wanted = label_indices([example.condition for example in dev.examples], ids)
    raw = baseline.probabilities

    def logprobs(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.log(np.clip(raw(texts), 1e-12, None))

    temperature = fit_temperature(logprobs([example.input for example in dev.examples]), wanted)
    return Baseline(baseline.name, lambda texts: probabilities_of(logprobs(texts), temperature))


@cache
def _bundled_keywords() -> dict[str, tuple[str, ...]]:
    text = files(__package__ or "").joinpath("keywords.json").read_text(encoding="utf-8")
    return {condition: tuple(words) for condition, words in json.loads(text).items()}


def _keyword_rules(
    train: Dataset, prior: NDArray[np.float64]
) -> Callable[[Sequence[str]], NDArray[np.float64]]:
    """Counts of hand-written keywords of each condition, and of the label's own name."""
    bundled = _bundled_keywords()
    keywords = [(*bundled.get(label.id, ()), label.text.lower()) for label in train.labels]

    def probabilities(texts: Sequence[str]) -> NDArray[np.float64]:
        hits = np.array(
            [[sum(word in text.lower() for word in words) for words in keywords] for text in texts]
        )
        return probabilities_of(hits + np.log(prior))

    return probabilities


def _vectorizer(parts: str) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b")
    if parts == WORDS_ONLY:
        return words
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    return make_union(words, characters)


def _nearest_neighbour(texts: Sequence[str], wanted: NDArray[np.int64], labels: int) -> Baseline:
    """The condition of the most similar training text, by the cosine of TF-IDF vectors."""
    vectorizer = _vectorizer(WORDS_ONLY)
    known = vectorizer.fit_transform(texts)

    def probabilities(asked: Sequence[str]) -> NDArray[np.float64]:
        similarity = (vectorizer.transform(asked) @ known.T).toarray()
        nearest = np.zeros((len(asked), labels))
        for label in range(labels):
            if (wanted == label).any():
                nearest[:, label] = similarity[:, wanted == label].max(axis=1)
        return probabilities_of(NEIGHBOUR_SHARPNESS * nearest)

    return Baseline("nearest neighbour", probabilities)


def _logistic(strength: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1000, random_state=seed)


def _support_vectors(strength: float, seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=strength / 10, random_state=seed)


def _linear(
    name: str, make: Callable[[float, int], Any], train: Dataset, dev: Dataset | None, seed: int
) -> Baseline:
    """A linear classifier of TF-IDF vectors; n-grams and strength are those that do best on dev."""
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    texts = [example.input for example in train.examples]
    wanted = [example.condition for example in train.examples]
    best: tuple[float, Any] | None = None
    for parts in (WORDS_ONLY, WORDS_AND_CHARACTERS):
        vectorizer = _vectorizer(parts).fit(texts)
        vectors = vectorizer.transform(texts)
        for strength in STRENGTHS:
            model = make(strength, seed)
            if dev is None:
                reached = float(cross_val_score(model, vectors, wanted, cv=3).mean())
                model.fit(vectors, wanted)
            else:
                model.fit(vectors, wanted)
                asked = vectorizer.transform([example.input for example in dev.examples])
                reached = float(model.score(asked, [example.condition for example in dev.examples]))
            if best is None or reached > best[0]:
                best = reached, make_pipeline(vectorizer, model)
    if best is None:
        raise AssertionError("there are strengths to try")
    return Baseline(name, _of_linear(best[1], [label.id for label in train.labels]))


def _of_linear(model: Any, ids: Sequence[str]) -> Callable[[Sequence[str]], NDArray[np.float64]]:
    columns = [ids.index(condition) for condition in model.classes_]

    def probabilities(texts: Sequence[str]) -> NDArray[np.float64]:
        scores = model.decision_function(texts)
        if scores.ndim == 1:  # two conditions have one score, for the second
            scores = np.column_stack([-scores, scores])
        full = np.full((len(texts), len(ids)), scores.min() - 10.0)
        full[:, columns] = scores
        return probabilities_of(full)

    return probabilities
