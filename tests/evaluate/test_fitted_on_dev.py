"""What dev decides: the weight of the words' vote, and the calibrators with and without it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest

from dataset_parts import part_with
from symptoms.classifier import Answer, TrainedModel, WordVote, Writing
from symptoms.data import Dataset, Label
from symptoms.evaluate.fitting.fitted_on_dev import MODEL_ALONE, fit_on_dev, score_alone
from symptoms.evaluate.predictions import Prediction

LABELS = ("panic", "ocd", "insomnia")


TRAIN, DEV, TEST = (part_with(LABELS, f"data/{name}.jsonl") for name in ("train-900", "dev", "test"))


RIGHT = {one.input: LABELS.index(one.condition) for one in (*DEV.examples, *TEST.examples)}


@dataclass(frozen=True)
class Fixed:
    """A model that finds the right label with some log-odds, or knows nothing with none."""

    odds: float
    words: WordVote | None = None

    def logprobs(self, text: str) -> np.ndarray:
        scores = np.eye(3)[RIGHT[text]] * self.odds
        return scores - np.log(np.exp(scores).sum())

    def mended(self, text: str) -> str:
        return text

    def answers(
        self, asked: Iterable[tuple[str, Writing]], labels: Sequence[Label]
    ) -> Generator[Answer, None, None]:
        for text, _writing in asked:
            yield Answer(None, self.logprobs(text), ((),) * len(labels))


def fit(odds: float, train: Dataset | None = TRAIN) -> Any:
    return fit_on_dev(cast(TrainedModel, Fixed(odds)), DEV, train, 0.3, lambda _what, _count: lambda: None)


def test_words_count_where_the_model_knows_little() -> None:
    """Beside a model that knows nothing the words have the largest weight, beside one that is right none."""
    assert fit(0.0).words.weight > 0
    assert fit(30.0).words is None


@pytest.mark.parametrize("train", [None, replace(TRAIN, examples=TRAIN.examples[:4])])
def test_there_is_no_vote_without_enough_texts(train: Dataset | None) -> None:
    """Without a training set, or with labels of fewer than five texts, the model stands alone."""
    fitted = fit(0.0, train)
    assert fitted.words is None
    assert fitted.calibrator == fitted.alone


def test_the_model_alone_is_told_beside_the_vote() -> None:
    """What the vote added is taken away again: the model's own accuracy stands beside that of both."""
    fitted, model = fit(0.0), Fixed(0.0)
    predictions = []
    for one in TEST.examples:
        logprobs = fitted.words.added_to(model.logprobs(one.input), one.input)
        predicted = LABELS[int(logprobs.argmax())]
        predictions.append(
            Prediction(
                one.id, one.input, one.condition, predicted, tuple(logprobs), (), "", predicted, (), "", ()
            )
        )
    (alone,) = score_alone(fitted, cast(TrainedModel, model), TEST, predictions, seed=0)
    assert alone.name == MODEL_ALONE
    assert alone.scores.accuracy.value == pytest.approx(1 / 3, abs=0.01)
    assert alone.accuracy_difference.value > 0.2
    assert score_alone(fit(30.0), cast(TrainedModel, model), TEST, predictions, seed=0) == ()
