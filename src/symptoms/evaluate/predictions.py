"""What a model said about each example of a data set, and the file that keeps it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from symptoms.classifier import Answer, TrainedModel, Writing
from symptoms.data import Example, Label, WrittenFindings, parse_assessment, parse_concern, parse_findings
from symptoms.errors import AssessmentFormatError


@dataclass(frozen=True)
class Prediction:
    """One line of predictions.jsonl.

    `logprobs` are those of each label's line, in the order of the labels, in nats. `predicted` is the label
    with the highest one. `written` is what the model wrote; the three fields read from it are None where it
    is not an assessment, and the recommendation where it was not asked for. `token_logprobs` belong to the
    predicted label's line. Where nothing was `asked_to_write`, `written` is empty; a run that learnt to name
    concerns alone is not `asked_for_symptoms`.
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
    asked_for_recommendation: bool = True
    asked_to_write: bool = True
    asked_for_symptoms: bool = True

    @property
    def is_parsed(self) -> bool:
        """Whether what the model wrote can be read as an assessment; where not, it counts as wrong."""
        return self.written_condition is not None

    @property
    def answered(self) -> str | None:
        """The predicted label; None where what was written cannot be read, which counts as wrong."""
        return self.predicted if self.is_parsed or not self.asked_to_write else None


_PREDICTION = TypeAdapter(Prediction)


def predict(
    model: TrainedModel,
    examples: Sequence[Example],
    labels: Sequence[Label],
    advance: Callable[[], None] = lambda: None,
    most: int | None = None,
    how: Writing = Writing.WHOLE,
    rest: Writing = Writing.FINDINGS,
) -> list[Prediction]:
    """Ask the model about every example; `advance` is called after each.

    So much as `how` says is written of no more than `most` examples, spread evenly, and as `rest` says of the
    others. To write takes twice the time of scoring, and `symptoms assess` shows little or nothing of it.
    """
    count = len(examples)
    chosen = count if most is None else min(most, count)
    # The next of the evenly spread ones begins where the count of those so far grows.
    writing = [
        how if (number + 1) * chosen // count > number * chosen // count else rest for number in range(count)
    ]
    asked = ((example.input, how) for example, how in zip(examples, writing, strict=True))
    predictions: list[Prediction] = []
    for example, how, answer in zip(examples, writing, model.answers(asked, labels), strict=True):
        predictions.append(_prediction(example, how, answer, labels))
        advance()
    return predictions


def _prediction(example: Example, how: Writing, answer: Answer, labels: Sequence[Label]) -> Prediction:
    best = int(answer.logprobs.argmax())
    written = answer.written or ""
    found, advice = _parsed(written, how)
    named = {label.text: label.id for label in labels}
    return Prediction(
        id=example.id,
        input=example.input,
        condition=example.condition,
        predicted=labels[best].id,
        logprobs=tuple(answer.logprobs.tolist()),
        token_logprobs=answer.token_logprobs[best],
        written=written,
        written_condition=None if found is None else named.get(found.concern, found.concern),
        written_symptoms=None if found is None else found.symptoms,
        written_recommendation=advice,
        asked_for_recommendation=how is Writing.WHOLE,
        asked_to_write=how is not Writing.NOTHING,
        asked_for_symptoms=how is not Writing.CONCERN,
        symptoms=example.symptoms,
    )


def _parsed(written: str, how: Writing) -> tuple[WrittenFindings | None, str | None]:
    """Concern and symptoms, None where what was asked for cannot be read, and the recommendation."""
    try:
        if how is Writing.CONCERN:
            return parse_concern(written), None
        if how is Writing.FINDINGS:
            return parse_findings(written), None
        whole = parse_assessment(written)
    except AssessmentFormatError:
        return None, None
    return whole, whole.recommendation


def parse_rate(predictions: Sequence[Prediction]) -> float:
    """The share that can be read of what was written; not a number where nothing was."""
    readable = [prediction.is_parsed for prediction in predictions if prediction.asked_to_write]
    return float(np.mean(readable)) if readable else float("nan")


def logprobs_of(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """float64 [n, labels]."""
    return np.array([prediction.logprobs for prediction in predictions])


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """One JSON object a line."""
    with open(path, "wb") as file:
        file.writelines(_PREDICTION.dump_json(prediction) + b"\n" for prediction in predictions)


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of a file that `write_predictions` wrote."""
    return [_PREDICTION.validate_json(line) for line in path.read_bytes().splitlines()]
