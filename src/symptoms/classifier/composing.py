"""From a model's scores and words to an assessment: choose a label, abstain, fill in what is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier.assessment import (
    LEADING,
    Assessment,
    CrisisNotice,
    Evidence,
    KeySymptom,
    LabelProbability,
)
from symptoms.classifier.continuation import STANDING_RECOMMENDATION, Continuation, read_continuation
from symptoms.classifier.probabilities import probabilities_of
from symptoms.classifier.run_calibration import RunCalibration
from symptoms.data import Label, WrittenAssessment, evidence, render_assessment
from symptoms.errors import SymptomsError
from symptoms.taxonomy import symptom_terms

NO_CONCERN = "not clear from this description"
NEAREST = 3


@dataclass(frozen=True)
class Choice:
    """The label that scored best, and the leading labels with their probabilities."""

    best: Label
    leading: tuple[LabelProbability, ...]


@dataclass(frozen=True)
class Chooser:
    """Chooses among `labels`. `symptoms` are terms that may be named beside the taxonomy's own.

    `calibration` is what held-out examples say about the probabilities. Without it the temperature is 1, and
    there is no probability too low to answer.
    """

    labels: tuple[Label, ...]
    symptoms: frozenset[str] = frozenset()
    calibration: RunCalibration | None = None

    def for_checkpoint(self, checkpoint: str) -> Chooser:
        """Without a calibration that belongs to another checkpoint or to other labels."""
        fitted, ids = self.calibration, tuple(label.id for label in self.labels)
        if fitted is None or (fitted.checkpoint == checkpoint and fitted.labels == ids):
            return self
        return replace(self, calibration=None)

    def choose(self, logprobs: NDArray[np.float64]) -> Choice:
        """The choice by the log-probabilities [labels] of the labels' lines."""
        probabilities = probabilities_of(logprobs, self.calibration.temperature if self.calibration else 1.0)
        order: list[int] = np.argsort(-probabilities, kind="stable").tolist()
        leading = tuple(
            LabelProbability(self.labels[index].id, self.labels[index].text, float(probabilities[index]))
            for index in order[:LEADING]
        )
        return Choice(self.labels[order[0]], leading)

    def compose(
        self, text: str, choice: Choice, written: str, ended: bool, notice: CrisisNotice | None
    ) -> Assessment:
        """The assessment of a text from the choice and from what the model wrote after that label."""
        terms = self.symptoms | {term for group in symptom_terms().values() for term in group}
        continuation = read_continuation(written, ended, terms)
        symptoms = tuple(_key_symptom(text, symptom) for symptom in continuation.symptoms)
        first = choice.leading[0]
        if self.calibration is not None and first.probability < self.calibration.threshold:
            # Written for a label that is no answer, so only what the text itself bears out is kept.
            kept = tuple(symptom for symptom in symptoms if symptom.evidence)
            continuation = Continuation(tuple(one.symptom for one in kept), None)
            return self._assessment(choice, kept, continuation, notice, _unclear(choice))
        return self._assessment(choice, symptoms, continuation, notice, None)

    def _assessment(
        self,
        choice: Choice,
        symptoms: tuple[KeySymptom, ...],
        continuation: Continuation,
        notice: CrisisNotice | None,
        abstained_because: str | None,
    ) -> Assessment:
        first = choice.leading[0]
        abstained = abstained_because is not None
        recommendation = continuation.recommendation or STANDING_RECOMMENDATION
        return Assessment(
            condition=None if abstained else first.condition,
            primary_concern=None if abstained else first.primary_concern,
            probability=first.probability,
            leading=choice.leading,
            key_symptoms=symptoms,
            recommendation=recommendation,
            abstained=abstained,
            abstained_because=abstained_because,
            calibrated=self.calibration is not None,
            crisis_notice=notice,
            text=_three_lines(
                NO_CONCERN if abstained else first.primary_concern, continuation.symptoms, recommendation
            ),
        )


def assessment_without_model(notice: CrisisNotice, error: Exception) -> Assessment:
    """The assessment of a text in crisis that the model could not be asked about, because of `error`."""
    told = isinstance(error, SymptomsError)
    reason = str(error) if told else "The model could not be asked about this description."
    return Assessment(
        condition=None,
        primary_concern=None,
        probability=0.0,
        leading=(),
        key_symptoms=(),
        recommendation=STANDING_RECOMMENDATION,
        abstained=True,
        abstained_because=reason,
        calibrated=False,
        crisis_notice=notice,
        text=_three_lines(NO_CONCERN, (), STANDING_RECOMMENDATION),
    )


def _unclear(choice: Choice) -> str:
    *others, last = (label.primary_concern for label in choice.leading[:NEAREST])
    nearest = f"{', '.join(others)} and {last}" if others else last
    return f"This description does not clearly resemble one condition; the nearest are {nearest}."


def _three_lines(concern: str, symptoms: tuple[str, ...], recommendation: str) -> str:
    return render_assessment(
        WrittenAssessment(concern=concern, symptoms=symptoms, recommendation=recommendation)
    )


def _key_symptom(text: str, symptom: str) -> KeySymptom:
    spans = evidence(text, symptom)
    return KeySymptom(
        symptom, tuple(Evidence(span.start, span.end, text[span.start : span.end]) for span in spans)
    )
