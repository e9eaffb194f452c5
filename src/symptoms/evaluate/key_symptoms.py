"""How well the key symptoms of a test set are named, and those of them that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from symptoms.classifier import Speller, SymptomReader, TrainedModel, probabilities_of
from symptoms.data import supported_terms
from symptoms.evaluate.measures.intervals import Interval, bootstrap_interval, micro_f1_statistic
from symptoms.evaluate.measures.metrics import SymptomScores, symptom_scores
from symptoms.evaluate.predictions import Prediction, logprobs_of


@dataclass(frozen=True)
class KeySymptoms:
    """Against the annotated terms: all that are `named`, and those that are `shown`, as the text has words.

    The two intervals are of their micro-F1. `are_read` is whether they are read from conditions, words and
    cues; if not, they are as the model wrote them.
    """

    named: SymptomScores
    named_micro_f1: Interval
    shown: SymptomScores
    shown_micro_f1: Interval
    are_read: bool


def score_key_symptoms(
    model: TrainedModel,
    predictions: Sequence[Prediction],
    reader: SymptomReader | None,
    temperature: float,
    seed: int,
) -> KeySymptoms | None:
    """Scores of what the classifier names for the predictions; None where no text is annotated.

    None, too, where the model was not asked for symptoms and nothing else names them.
    """
    annotated = [
        one
        for one in predictions
        if one.symptoms is not None and (reader is not None or one.asked_for_symptoms)
    ]
    if not annotated:
        return None
    if reader is None:
        named = [one.written_symptoms or () for one in annotated]
        texts = _spelt(Speller.of({term for terms in named for term in terms}), model, annotated)
    else:
        texts = _spelt(reader.model.speller, model, annotated)
        probabilities = probabilities_of(logprobs_of(annotated), temperature)
        named = [reader.named(row, text) for row, text in zip(probabilities, texts, strict=True)]
    supported = [supported_terms(text, terms) for text, terms in zip(texts, named, strict=True)]
    shown = [
        tuple(term for term in terms if term in found) for terms, found in zip(named, supported, strict=True)
    ]
    wanted = [one.symptoms or () for one in annotated]
    return KeySymptoms(
        named=symptom_scores(wanted, named, supported),
        named_micro_f1=bootstrap_interval(micro_f1_statistic(wanted, named), len(wanted), seed),
        shown=symptom_scores(wanted, shown, supported),
        shown_micro_f1=bootstrap_interval(micro_f1_statistic(wanted, shown), len(wanted), seed),
        are_read=reader is not None,
    )


def _spelt(speller: Speller, model: TrainedModel, predictions: Sequence[Prediction]) -> list[str]:
    return [speller.spelt(model.mended(one.input)).text for one in predictions]
