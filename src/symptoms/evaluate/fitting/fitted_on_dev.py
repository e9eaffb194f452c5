"""What dev decides of a model: the words' weight, temperature, when to abstain, how symptoms are read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import (
    SymptomReader,
    TrainedModel,
    WordModel,
    WordVote,
    Writing,
    fit_word_model,
    probabilities_of,
)
from symptoms.data import Dataset
from symptoms.evaluate.baselines import wanted_indices
from symptoms.evaluate.evaluation_file import BaselineScores
from symptoms.evaluate.fitting.symptoms_on_dev import FEWEST_FOR_EACH_LABEL, fit_symptom_reader
from symptoms.evaluate.measures.calibration import fit_temperature, negative_log_likelihood
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.evaluate.predictions import Prediction, logprobs_of
from symptoms.evaluate.scoring import Track, score_baseline, scored_labels

WEIGHTS = (0.0, 0.25, 0.5)
"""No more than half of what the model says.

Dev is of the same hands as the training set, so that it likes ever more of the words; on texts of others the
probabilities then are too sure (docs/log.md).
"""
MODEL_ALONE = "the language model alone"


@dataclass(frozen=True)
class FittedOnDev:
    """The vote of words beside a model, and the calibrators of both together and of the model alone.

    `symptoms` names the key symptoms, None where the model writes them. A model that `names_concern_alone`
    learnt from texts without them.
    """

    words: WordVote | None = None
    calibrator: Calibrator | None = None
    alone: Calibrator | None = None
    symptoms: SymptomReader | None = None
    names_concern_alone: bool = False

    @property
    def asked_of_some(self) -> Writing:
        """What the model writes of some texts of a test set: all that it learnt to write."""
        return Writing.CONCERN if self.names_concern_alone else Writing.WHOLE

    @property
    def asked_of_all(self) -> Writing:
        """What the model writes of every text of a test set: nothing where nobody reads it."""
        if self.symptoms is not None:
            return Writing.NOTHING
        return Writing.CONCERN if self.names_concern_alone else Writing.FINDINGS


NOTHING_FITTED = FittedOnDev()


def fit_on_dev(
    model: TrainedModel,
    dev: Dataset,
    train: Dataset | None,
    risk: float,
    track: Track,
    *,
    words: bool = True,
    read_symptoms: bool = True,
) -> FittedOnDev:
    """Ask the model about the dev set, labels only, and the symptoms of some.

    Without `train` the words have no vote, and the model writes the symptoms; so where the switches say it.
    """
    fitted, logprobs = _fit_labels(model, dev, train if words else None, risk, track)
    if train is None or not read_symptoms or fitted.calibrator is None:
        return fitted
    probabilities = probabilities_of(logprobs, fitted.calibrator.temperature)
    reader = fit_symptom_reader(replace(model, words=fitted.words), train, dev, probabilities, track)
    return replace(fitted, symptoms=reader)


def _fit_labels(
    model: TrainedModel, dev: Dataset, train: Dataset | None, risk: float, track: Track
) -> tuple[FittedOnDev, NDArray[np.float64]]:
    """And the log-probabilities of dev's labels [n, labels], with the words' vote where they have one."""
    wanted = wanted_indices(dev)
    labels = [label.id for label in dev.labels]
    words = None if train is None else _words_of(train, labels)
    if words is not None:
        # They put slips right from the first, and have their vote below.
        model = replace(model, words=WordVote(words, 0.0))
    logprobs = scored_labels(model, dev.examples, dev.labels, track, "dev set")
    alone = Calibrator.fit(logprobs, wanted, risk, labels)
    if words is None:
        return FittedOnDev(None, alone, alone), logprobs
    said = _said(words, model, [one.input for one in dev.examples])
    weight = min(WEIGHTS, key=lambda weight: _cost(logprobs + weight * said, wanted))
    if not weight:
        return FittedOnDev(None, alone, alone), logprobs
    logprobs = logprobs + weight * said
    together = Calibrator.fit(logprobs, wanted, risk, labels)
    return FittedOnDev(WordVote(words, weight), together, alone), logprobs


def score_alone(
    fitted: FittedOnDev,
    model: TrainedModel,
    test: Dataset,
    predictions: Sequence[Prediction],
    seed: int,
) -> tuple[BaselineScores, ...]:
    """`model` without the words' vote, beside the two together; nothing where there is no vote."""
    if fitted.words is None or fitted.alone is None:
        return ()
    said = _said(fitted.words.model, model, [one.input for one in predictions])
    logprobs = logprobs_of(predictions) - fitted.words.weight * said
    probabilities = probabilities_of(logprobs, fitted.alone.temperature)
    return (score_baseline(MODEL_ALONE, probabilities, fitted.alone, test, predictions, seed),)


def _words_of(train: Dataset, labels: Sequence[str]) -> WordModel | None:
    """Of the training set; None where a label has too few texts for its words to say anything."""
    conditions = [one.condition for one in train.examples]
    counts = Counter(conditions)
    if min(counts[label] for label in labels) < FEWEST_FOR_EACH_LABEL:
        return None
    return fit_word_model([one.input for one in train.examples], conditions, labels)


def _said(words: WordModel, model: TrainedModel, texts: Sequence[str]) -> NDArray[np.float64]:
    """By the words of the texts as the model reads them."""
    return np.stack([words.log_probabilities(model.mended(text)) for text in texts])


def _cost(logprobs: NDArray[np.float64], wanted: NDArray[np.int64]) -> float:
    """Negative log-likelihood of the right labels at the temperature that suits these log-probabilities."""
    probabilities = probabilities_of(logprobs, fit_temperature(logprobs, wanted))
    return negative_log_likelihood(probabilities, wanted)
