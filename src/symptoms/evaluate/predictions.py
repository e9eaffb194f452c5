"""What a model said about each example of a data set, and the file that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from symptoms.classifier import Answer, TrainedModel
from symptoms.data import Example, Label, WrittenAssessment, parse_assessment
from symptoms.errors import AssessmentFormatError


@dataclass(frozen=True)
class Prediction:
    """One line of predictions.jsonl.

    `logprobs` are those of each label's line, in the order of the labels, in nats. `predicted` is the label
    with the highest one. `written` is what the model wrote; the three fields read from it are None where it
    is not an assessment. `token_logprobs` belong to the predicted label's line.
    """

    id: str
    input: str
    condition: str
    predicted: str
    logprobs: tuple[float, ...]
    token_logprobs: tuple[float, ...]
    written: str
    written_condition: str | None
    written_symptoms: tuple[str, ...] | None
    written_recommendation: str | None
    symptoms: tuple[str, ...] | None

    @property
    def is_parsed(self) -> bool:
        """Whether what the model wrote can be read as an assessment; where not, it counts as wrong."""
        return self.written_condition is not None

    @property
    def answered(self) -> str | None:
        """The predicted label; None where what was written cannot be read, which counts as wrong."""
        return self.predicted if self.is_parsed else None


_ADAPTER = TypeAdapter(Prediction)


def predict(
    model: TrainedModel,
    examples: Sequence[Example],
    labels: Sequence[Label],
    advance: Callable[[], None] = lambda: None,
) -> list[Prediction]:
    """Ask the model about every example; `advance` is called after each."""
    answers = model.answers((example.input for example in examples), labels)
    predictions: list[Prediction] = []
    for example, answer in zip(examples, answers, strict=True):
        predictions.append(_prediction(example, answer, labels))
        advance()
    return predictions


def _prediction(example: Example, answer: Answer, labels: Sequence[Label]) -> Prediction:
    best = int(answer.logprobs.argmax())
    written = answer.written or ""
    assessment = _parsed(written)
    named = {label.text: label.id for label in labels}
    return Prediction(
        id=example.id,
        input=example.input,
        condition=example.condition,
        predicted=labels[best].id,
        logprobs=tuple(answer.logprobs.tolist()),
        token_logprobs=answer.token_logprobs[best],
        written=written,
        written_condition=None if assessment is None else named.get(assessment.concern, assessment.concern),
        written_symptoms=None if assessment is None else assessment.symptoms,
        written_recommendation=None if assessment is None else assessment.recommendation,
        symptoms=example.symptoms,
    )


def _parsed(written: str) -> WrittenAssessment | None:
    try:
        return parse_assessment(written)
    except AssessmentFormatError:
        return None


def logprobs_of(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """float64 [n, labels]."""
    return np.array([prediction.logprobs for prediction in predictions])


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """One JSON object a line."""
    with open(path, "wb") as file:
        file.writelines(_ADAPTER.dump_json(prediction) + b"\n" for prediction in predictions)


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of a file that `write_predictions` wrote."""
    return [_ADAPTER.validate_json(line) for line in path.read_bytes().splitlines()]
