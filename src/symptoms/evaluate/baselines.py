"""What can be had without a language model, fitted on the same training set and tuned on the same dev set."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import probabilities_of
from symptoms.data import Dataset
from symptoms.evaluate.measures.abstention import RISK
from symptoms.evaluate.measures.calibration import label_indices
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.packaged import packaged

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
WORDS_ONLY, WORDS_AND_CHARACTERS = "words", "words and characters"
UNCHOSEN = WORDS_ONLY, 10.0
"""What linear classifiers read, and how strongly, where there is nothing to choose by."""
FOLDS = 3
NEIGHBOUR_SHARPNESS = 20.0
"""Cosine similarities become probabilities by a softmax this sharp, before dev sets the temperature."""

_Probabilities = Callable[[Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True)
class Baseline:
    """A classifier of texts; `probabilities` gives float64 [n, labels], rows adding up to one."""

    name: str
    probabilities: _Probabilities
    calibrator: Calibrator | None = None


@dataclass(frozen=True)
class LeftOut:
    """A baseline that there is none of here, and why, as the end of a sentence."""

    name: str
    reason: str


@dataclass(frozen=True)
class Baselines:
    """Those that could be fitted, and those that could not."""

    fitted: tuple[Baseline, ...]
    left_out: tuple[LeftOut, ...]


class _UnfitError(Exception):
    """The training texts are too few or too odd for this baseline; the message is the reason."""


def fit_baselines(train: Dataset, dev: Dataset | None, seed: int, risk: float = RISK) -> Baselines:
    """All baselines; what they choose is chosen on dev, or without it by the training set's own folds.

    With dev each has a temperature and a threshold that keeps `risk` there, as the model itself has.
    """
    ids = [label.id for label in train.labels]
    counts = np.bincount(wanted_indices(train), minlength=len(ids)).astype(np.float64) + 1e-3
    prior = counts / counts.sum()
    kinds: tuple[tuple[str, Callable[[], _Probabilities]], ...] = (
        ("majority", lambda: lambda asked: np.tile(prior, (len(asked), 1))),
        ("keyword rules", lambda: _keyword_rules(train, prior)),
        ("nearest neighbour", lambda: _nearest_neighbour(train)),
        ("TF-IDF + logistic regression", lambda: _linear(_logistic, train, dev, seed)),
        ("TF-IDF + linear SVM", lambda: _linear(_support_vectors, train, dev, seed)),
    )
    fitted: list[Baseline] = []
    left_out: list[LeftOut] = []
    for name, fit in kinds:
        try:
            baseline = Baseline(name, fit())
        except _UnfitError as reason:
            left_out.append(LeftOut(name, str(reason)))
        else:
            fitted.append(baseline if dev is None else _calibrated(baseline, dev, risk))
    return Baselines(tuple(fitted), tuple(left_out))


def wanted_indices(dataset: Dataset) -> NDArray[np.int64]:
    """Where each example's condition stands among the labels, int64 [n]."""
    return label_indices([one.condition for one in dataset.examples], [label.id for label in dataset.labels])


def _calibrated(baseline: Baseline, dev: Dataset, risk: float) -> Baseline:
    """The same answers with a temperature fitted on dev, as the model's own probabilities have."""
    raw = baseline.probabilities

    def logprobs(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.log(np.clip(raw(texts), 1e-12, None))

    wanted, ids = wanted_indices(dev), [label.id for label in dev.labels]
    calibrator = Calibrator.fit(logprobs([one.input for one in dev.examples]), wanted, risk, ids)
    return Baseline(
        baseline.name, lambda texts: probabilities_of(logprobs(texts), calibrator.temperature), calibrator
    )


@cache
def _bundled_keywords() -> dict[str, tuple[str, ...]]:
    return {condition: tuple(words) for condition, words in packaged(__package__, "keywords.json").items()}


def _keyword_rules(train: Dataset, prior: NDArray[np.float64]) -> _Probabilities:
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


def _fitted_vectorizer(parts: str, texts: Sequence[str]) -> Any:
    vectorizer = _vectorizer(parts)
    try:
        return vectorizer.fit(texts)
    except ValueError as error:  # scikit-learn's word for an empty vocabulary
        raise _UnfitError("no word occurs in two of the training texts") from error


def _nearest_neighbour(train: Dataset) -> _Probabilities:
    """The condition of the most similar training text, by the cosine of TF-IDF vectors."""
    texts, wanted, labels = [one.input for one in train.examples], wanted_indices(train), len(train.labels)
    vectorizer = _fitted_vectorizer(WORDS_ONLY, texts)
    known = vectorizer.transform(texts)

    def probabilities(asked: Sequence[str]) -> NDArray[np.float64]:
        similarity = (vectorizer.transform(asked) @ known.T).toarray()
        nearest = np.zeros((len(asked), labels))
        for label in range(labels):
            if (wanted == label).any():
                nearest[:, label] = similarity[:, wanted == label].max(axis=1)
        return probabilities_of(NEIGHBOUR_SHARPNESS * nearest)

    return probabilities


def _logistic(strength: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1000, random_state=seed)


def _support_vectors(strength: float, seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=strength / 10, random_state=seed)


def _linear(
    make: Callable[[float, int], Any], train: Dataset, dev: Dataset | None, seed: int
) -> _Probabilities:
    """A linear classifier of TF-IDF vectors; n-grams and strength are those that do best on dev."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    texts = [example.input for example in train.examples]
    wanted = [example.condition for example in train.examples]
    counts = Counter(wanted)
    if len(counts) < 2:
        raise _UnfitError("the training texts have a single condition")
    choices = [(parts, strength) for parts in (WORDS_ONLY, WORDS_AND_CHARACTERS) for strength in STRENGTHS]
    if dev is None and min(counts.values()) < FOLDS:
        # No fold could hold each condition, so that there is nothing to choose by.
        choices = [UNCHOSEN]
    vectors = {parts: _fitted_vectorizer(parts, texts) for parts, _ in choices}
    best: tuple[float, Any] | None = None
    for parts, strength in choices:
        vectorizer, model = vectors[parts], make(strength, seed)
        known = vectorizer.transform(texts)
        with warnings.catch_warnings():
            # Few examples of many conditions are what scikit-learn takes for numbers; these are ids.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(known, wanted)
        if dev is not None:
            asked = vectorizer.transform([example.input for example in dev.examples])
            reached = float(model.score(asked, [example.condition for example in dev.examples]))
        elif len(choices) == 1:
            reached = 0.0
        else:
            reached = float(cross_val_score(model, known, wanted, cv=StratifiedKFold(FOLDS)).mean())
        if best is None or reached > best[0]:
            best = reached, make_pipeline(vectorizer, model)
    if best is None:
        raise AssertionError("there are strengths to try")
    return _of_linear(best[1], [label.id for label in train.labels])


def _of_linear(model: Any, ids: Sequence[str]) -> _Probabilities:
    columns = [ids.index(condition) for condition in model.classes_]

    def probabilities(texts: Sequence[str]) -> NDArray[np.float64]:
        scores = model.decision_function(texts)
        if scores.ndim == 1:  # two conditions have one score, for the second
            scores = np.column_stack([-scores, scores])
        full = np.full((len(texts), len(ids)), scores.min() - 10.0)
        full[:, columns] = scores
        return probabilities_of(full)

    return probabilities
