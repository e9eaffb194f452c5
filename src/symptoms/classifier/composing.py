"""From a model's scores and words to an assessment: choose a label, abstain, fill in what is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symptoms.classifier.assessment import (
    LEADING_LABELS,
    Assessment,
    CrisisNotice,
    Evidence,
    KeySymptom,
    LabelProbability,
    LanguageNotice,
    language_notice_of,
    notice_of,
)
from symptoms.classifier.introduction import UNCALIBRATED_THRESHOLD
from symptoms.classifier.probabilities import kept_back, out_of_scope_columns, probabilities_of
from symptoms.classifier.recommending import EVERYDAY, STANDING_RECOMMENDATION, recommendation_for
from symptoms.classifier.run_files.run_calibration import RunCalibration
from symptoms.classifier.word_models.spelling import SpeltText
from symptoms.data import (
    Label,
    TextWords,
    WrittenAssessment,
    evidence,
    phrases,
    placed_words,
    render_assessment,
)
from symptoms.errors import ServiceError, SymptomsError
from symptoms.safety import Language, language_other_than, screen
from symptoms.taxonomy import symptom_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNREAD = (
    "This seems to be written in {language}, and the model has learnt from texts in {learnt} alone; "
    "what it finds nearest means little."
)
NO_CONCERN = "not clear from this description"
NO_RECOMMENDATION = "none"
NO_REASON = "This may give no reason to name a condition, so none is named"
UNCLEAR = "No condition is clearly resembled"
NEAREST = 3
THIRD_NEAREST = 0.5
"""The third nearest label is named where it is at least so many times as probable as the second."""


@dataclass(frozen=True)
class Choice:
    """The label that scored best, and the leading labels with their probabilities.

    `probabilities` float64 [labels] are those of all labels, in the order of the chooser's. `lacks_reason` is
    whether the best one is a condition, and the text may give no reason to name any.
    """

    best: Label
    leading: tuple[LabelProbability, ...]
    lacks_reason: bool
    probabilities: NDArray[np.float64]


@dataclass(frozen=True)
class Chooser:
    """Chooses among `labels`. `symptoms` are terms that may be named beside the taxonomy's own.

    `calibration` is what held-out examples say about the probabilities. Without it the temperature is 1, and
    a cautious threshold decides what is answered. `about` is what is said of the model. A text that is
    clearly in none of `languages`, those of the training set, gets no answer; none told, any language does.
    """

    labels: tuple[Label, ...]
    symptoms: frozenset[str] = frozenset()
    calibration: RunCalibration | None = None
    about: str = ""
    languages: frozenset[str] = frozenset()

    def for_checkpoint(self, checkpoint: str) -> Chooser:
        """Without a calibration that belongs to another checkpoint or to other labels, or keeps no risk."""
        fitted, ids = self.calibration, tuple(label.id for label in self.labels)
        if fitted is None or (fitted.checkpoint == checkpoint and fitted.labels == ids and fitted.risk):
            return self
        return replace(self, calibration=None)

    @property
    def terms(self) -> frozenset[str]:
        """All symptoms that may be named."""
        return self.symptoms | {term for group in symptom_terms().values() for term in group}

    def is_answer(self, choice: Choice) -> bool:
        """Whether the label that scored best is the answer, and not merely the nearest."""
        threshold = UNCALIBRATED_THRESHOLD if self.calibration is None else self.calibration.threshold
        if choice.lacks_reason:
            return False
        return threshold is not None and choice.leading[0].probability >= threshold

    def choose(self, logprobs: NDArray[np.float64]) -> Choice:
        """The choice by the log-probabilities [labels] of the labels' lines.

        Raises ServiceError where they are no numbers that can be compared.
        """
        import numpy as np

        # Not so where any is nan, infinitely likely, or all are impossible.
        if not np.isfinite(logprobs.max()):
            raise ServiceError(
                "The service gave log-probabilities that are no numbers, as weights of a diverged training "
                "do; look at the run's losses with 'symptoms runs show', or ask another run."
            )
        probabilities = probabilities_of(logprobs, self.calibration.temperature if self.calibration else 1.0)
        order: list[int] = (-probabilities).argsort(kind="stable").tolist()
        leading = tuple(
            LabelProbability(self.labels[index].id, self.labels[index].text, float(probabilities[index]))
            for index in order[:LEADING_LABELS]
        )
        outside = out_of_scope_columns([label.id for label in self.labels])
        bound = None if self.calibration is None else self.calibration.out_of_scope_bound
        lacks_reason = bool(kept_back(probabilities[None], outside, bound)[0])
        return Choice(self.labels[order[0]], leading, lacks_reason, probabilities)

    def unlearnt(self, text: str) -> Language | None:
        """The language of a text, where it is clearly one that the model has not learnt from."""
        return language_other_than(text, self.languages) if self.languages else None

    def _unread(self, text: str) -> str | None:
        """Why a text in a language that the model has not learnt from gets no answer; None for others."""
        language = self.unlearnt(text)
        if language is None:
            return None
        return UNREAD.format(language=language.name, learnt=" and ".join(sorted(self.languages)))

    def _reason(self, choice: Choice) -> str:
        """Why no condition is named."""
        return f"{NO_REASON if choice.lacks_reason else UNCLEAR}; {_nearest(choice)}."

    def compose(
        self,
        text: str,
        choice: Choice,
        named: Iterable[str],
        notice: CrisisNotice | None,
        read: SpeltText | None = None,
    ) -> Assessment:
        """The assessment of a text from the choice and the symptoms that were named for it.

        `read` is the text that symptoms are looked up in, its misspelt words as they were meant.
        A symptom stands where words of the text bear it out; what else was named is left out.
        """
        spelt = read or SpeltText(text)
        words = placed_words(spelt.text)
        looked_up = (_key_symptom(text, spelt, words, symptom) for symptom in named)
        symptoms = tuple(one for one in looked_up if one.evidence)
        standing = tuple(one.symptom for one in symptoms)
        first = choice.leading[0]
        unread = self._unread(text)
        abstained = unread is not None or not self.is_answer(choice)
        is_everyday = first.condition == EVERYDAY and unread is None and not (abstained and symptoms)
        recommendation = recommendation_for(
            EVERYDAY if is_everyday else None if abstained else first.condition, standing
        )
        return Assessment(
            condition=None if abstained else first.condition,
            primary_concern=None if abstained else first.primary_concern,
            probability=first.probability,
            leading=choice.leading,
            key_symptoms=symptoms,
            recommendation=recommendation,
            abstained=abstained,
            abstained_because=(unread or self._reason(choice)) if abstained else None,
            calibrated=self.calibration is not None,
            about_the_model=self.about,
            crisis_notice=notice,
            unread=unread is not None,
            text=_three_lines(NO_CONCERN if abstained else first.primary_concern, standing, recommendation),
        )


def notices_without_model(text: str, error: Exception, country: str | None = None) -> Assessment | None:
    """What stands of a text that the model could not be asked about: its notice; None where it has none."""
    screening = screen(text)
    notice, unread = notice_of(screening, country), language_notice_of(screening, country)
    return None if notice is None and unread is None else assessment_without_model(notice, error, unread)


def assessment_without_model(
    notice: CrisisNotice | None, error: Exception, unread: LanguageNotice | None = None
) -> Assessment:
    """The assessment of a text that the model could not be asked about, because of `error`."""
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
        language_notice=unread,
    )


def _nearest(choice: Choice) -> str:
    nearest = choice.leading[:NEAREST]
    if len(nearest) == NEAREST and nearest[2].probability < THIRD_NEAREST * nearest[1].probability:
        nearest = nearest[:2]
    *others, last = (label.primary_concern for label in nearest)
    return f"the nearest are {', '.join(others)} and {last}" if others else f"the nearest is {last}"


def _three_lines(concern: str, symptoms: tuple[str, ...], recommendation: str | None) -> str:
    return render_assessment(
        WrittenAssessment(
            concern=concern, symptoms=symptoms, recommendation=recommendation or NO_RECOMMENDATION
        )
    )


def _key_symptom(text: str, read: SpeltText, words: TextWords, symptom: str) -> KeySymptom:
    spans = (read.as_written(span) for span in phrases(words, evidence(words, symptom)))
    return KeySymptom(
        symptom, tuple(Evidence(span.start, span.end, text[span.start : span.end]) for span in spans)
    )
