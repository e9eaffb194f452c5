"""Ask a model about a test set and work out every figure of the evaluation."""

import random
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import TrainedModel, Writing, probabilities_of
from symptoms.data import Dataset, Example, Label, supported_terms
from symptoms.evaluate.baselines import Baseline, wanted_indices
from symptoms.evaluate.evaluation_file import BaselineScores, ExternalScores, LabelScores, Mistake, Written
from symptoms.evaluate.external import ExternalSet, within_labels
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.evaluate.measures.intervals import (
    Interval,
    accuracy_statistic,
    bootstrap_interval,
    difference,
    interval_of_share,
    macro_f1_statistic,
)
from symptoms.evaluate.measures.metrics import SymptomScores, accuracy, symptom_scores
from symptoms.evaluate.measures.scores import Asked, Scores, leading_labels, score
from symptoms.evaluate.predictions import Prediction, logprobs_of, parse_rate, predict
from symptoms.evaluate.recommendations import check_recommendations
from symptoms.evaluate.robustness import FailureRow, failure_table, trials
from symptoms.taxonomy import OUT_OF_SCOPE

WORST_MISTAKES = 20
LEADING_OF_A_MISTAKE = 3
ROBUSTNESS_EXAMPLES = 60
WRITTEN_ANSWERS = 60
"""Answers of a test set that are written whole, unless the full evaluation is asked for."""

Track = Callable[[str, int], Callable[[], None]]
"""Begins a stretch of so many items under a name, and returns what to call after each."""


def asked_of(test: Dataset) -> Asked:
    """The test set's conditions and labels."""
    return Asked(
        tuple(example.condition for example in test.examples), tuple(label.id for label in test.labels)
    )


def scored_labels(
    model: TrainedModel,
    examples: Sequence[Example],
    labels: Sequence[Label],
    track: Track,
    what: str,
) -> NDArray[np.float64]:
    """Log-probabilities [n, labels] of each example's labels, without asking the model to write."""
    advance = track(what, len(examples))
    rows: list[NDArray[np.float64]] = []
    for answer in model.answers(((one.input, Writing.NOTHING) for one in examples), labels):
        rows.append(answer.logprobs)
        advance()
    return np.stack(rows)


def predict_test(
    model: TrainedModel, test: Dataset, track: Track, most: int | None, how: Writing, rest: Writing
) -> tuple[list[Prediction], float]:
    """Predictions for the test set, and the seconds that they took; the last three are as of `predict`."""
    started = time.monotonic()
    advance = track("test set", len(test.examples))
    predictions = predict(model, test.examples, test.labels, advance, most, how, rest)
    return predictions, time.monotonic() - started


def score_predictions(
    test: Dataset, predictions: Sequence[Prediction], calibrator: Calibrator | None, seed: int
) -> Scores:
    """Scores of a model's predictions; an answer that cannot be read is wrong."""
    probabilities = probabilities_of(logprobs_of(predictions), calibrator.temperature if calibrator else 1.0)
    answered = [prediction.answered for prediction in predictions]
    return score(asked_of(test), probabilities, calibrator, seed, answered)


def score_labels(predictions: Sequence[Prediction], seed: int) -> LabelScores:
    """Scores of the likeliest label alone, which is what the classifier shows."""
    wanted = [prediction.condition for prediction in predictions]
    likeliest = [prediction.predicted for prediction in predictions]
    return LabelScores(
        accuracy=_accuracy(wanted, likeliest, seed),
        macro_f1=bootstrap_interval(macro_f1_statistic(wanted, likeliest), len(wanted), seed),
    )


def score_written(predictions: Sequence[Prediction], seed: int) -> Written:
    """Scores of what was written next to the label, where the model was asked to."""
    predictions = [prediction for prediction in predictions if prediction.asked_to_write]
    wanted = [prediction.condition for prediction in predictions]
    written = [prediction.written_condition for prediction in predictions]
    return Written(
        parse_rate=parse_rate(predictions),
        answers=len(predictions),
        accuracy=_accuracy(wanted, written, seed),
        agreement=accuracy([prediction.predicted for prediction in predictions], written),
        symptoms=_symptoms(predictions),
        recommendations=check_recommendations(
            [one.written_recommendation for one in predictions if one.asked_for_recommendation]
        ),
    )


def _accuracy(wanted: Sequence[str], answered: Sequence[str | None], seed: int) -> Interval:
    found = bootstrap_interval(accuracy_statistic(wanted, answered), len(wanted), seed)
    return interval_of_share(found, len(wanted))


def _symptoms(predictions: Sequence[Prediction]) -> SymptomScores | None:
    annotated = [one for one in predictions if one.symptoms is not None and one.asked_for_symptoms]
    if not annotated:
        return None
    named = [prediction.written_symptoms or () for prediction in annotated]
    return symptom_scores(
        [prediction.symptoms or () for prediction in annotated],
        named,
        [supported_terms(one.input, terms) for one, terms in zip(annotated, named, strict=True)],
    )


def worst_mistakes(
    test: Dataset, predictions: Sequence[Prediction], temperature: float
) -> tuple[Mistake, ...]:
    """The wrong labels that were given with the most confidence, whether or not the rest could be read."""
    ids = [label.id for label in test.labels]
    found: list[tuple[float, Mistake]] = []
    for prediction in predictions:
        if prediction.predicted == prediction.condition:
            continue
        probabilities = probabilities_of(np.array(prediction.logprobs), temperature)
        order = sorted(range(len(ids)), key=lambda index: -probabilities[index])[:LEADING_OF_A_MISTAKE]
        mistake = Mistake(
            id=prediction.id,
            input=prediction.input,
            condition=prediction.condition,
            leading=tuple((ids[index], float(probabilities[index])) for index in order),
            probability_of_right=float(probabilities[ids.index(prediction.condition)]),
            token_logprobs=prediction.token_logprobs,
            written=prediction.written,
        )
        found.append((float(probabilities[order[0]]), mistake))
    found.sort(key=lambda pair: -pair[0])
    return tuple(mistake for _, mistake in found[:WORST_MISTAKES])


def score_baseline(
    name: str,
    probabilities: NDArray[np.float64],
    calibrator: Calibrator | None,
    test: Dataset,
    predictions: Sequence[Prediction],
    seed: int,
) -> BaselineScores:
    """A baseline's probabilities [n, labels] scored and compared with the model's answers."""
    asked = asked_of(test)
    answers = leading_labels(probabilities, asked.label_ids)
    ours = [prediction.answered for prediction in predictions]
    return BaselineScores(
        name=name,
        scores=score(asked, probabilities, calibrator, seed),
        macro_f1_difference=asked.interval(
            difference(macro_f1_statistic(asked.wanted, ours), macro_f1_statistic(asked.wanted, answers)),
            seed,
        ),
        accuracy_difference=asked.interval(
            difference(accuracy_statistic(asked.wanted, ours), accuracy_statistic(asked.wanted, answers)),
            seed,
        ),
    )


def score_classic_baselines(
    baselines: Sequence[Baseline], test: Dataset, predictions: Sequence[Prediction], seed: int
) -> list[BaselineScores]:
    """Fitted baselines without a language model on the test set."""
    texts = [example.input for example in test.examples]
    return [
        score_baseline(one.name, one.probabilities(texts), one.calibrator, test, predictions, seed)
        for one in baselines
    ]


def score_other_model(
    name: str,
    model: TrainedModel,
    dev: Dataset | None,
    test: Dataset,
    predictions: Sequence[Prediction],
    risk: float,
    seed: int,
    track: Track,
) -> BaselineScores:
    """Another model through the same scoring of labels, with a temperature of its own."""
    calibrator: Calibrator | None = None
    if dev is not None:
        logprobs = scored_labels(model, dev.examples, dev.labels, track, f"{name} on dev")
        calibrator = Calibrator.fit(logprobs, wanted_indices(dev), risk, [label.id for label in dev.labels])
    logprobs = scored_labels(model, test.examples, test.labels, track, name)
    probabilities = probabilities_of(logprobs, calibrator.temperature if calibrator else 1.0)
    return score_baseline(name, probabilities, calibrator, test, predictions, seed)


def score_robustness(
    model: TrainedModel,
    test: Dataset,
    predictions: Sequence[Prediction],
    temperature: float,
    seed: int,
    track: Track,
) -> tuple[FailureRow, ...]:
    """Failure rates under small changes of some of the test's texts."""
    count = min(ROBUSTNESS_EXAMPLES, len(test.examples))
    chosen = sorted(random.Random(seed).sample(range(len(test.examples)), count))
    changed = trials([test.examples[index] for index in chosen], seed)
    asked = [Example(trial.text, id=str(number), line=number) for number, trial in enumerate(changed)]
    logprobs = scored_labels(model, asked, test.labels, track, "robustness")
    before = probabilities_of(logprobs_of(predictions), temperature)
    originals = {test.examples[index].id: before[index] for index in chosen}
    ids = [label.id for label in test.labels]
    return failure_table(changed, probabilities_of(logprobs, temperature), originals, ids)


def score_external(
    model: TrainedModel,
    external: ExternalSet,
    labels: Sequence[Label],
    calibrator: Calibrator | None,
    seed: int,
    track: Track,
) -> ExternalScores:
    """Scores on texts from elsewhere, with the temperature and threshold of our own dev set."""
    ids = tuple(label.id for label in labels)
    external = within_labels(external, ids)
    examples = external.examples
    logprobs = scored_labels(model, examples, labels, track, external.name)
    probabilities = probabilities_of(logprobs, calibrator.temperature if calibrator else 1.0)
    if not external.in_scope:
        answers = leading_labels(probabilities, ids)
        rate = float(np.mean([answer not in OUT_OF_SCOPE for answer in answers]))
        return ExternalScores(external.name, external.note, False, None, rate)
    asked = Asked(tuple(example.condition for example in examples), ids, external.clusters or None)
    scored = score(asked, probabilities, calibrator, seed)
    return ExternalScores(external.name, external.note, True, scored, None)
