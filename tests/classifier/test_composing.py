"""From scores and words to an assessment, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from symptoms.classifier import Assessment, RunCalibration, notice_for, read_calibration, write_calibration
from symptoms.classifier.composing import Chooser, assessment_without_model
from symptoms.classifier.continuation import STANDING_RECOMMENDATION, Continuation, read_continuation
from symptoms.data import labels_of_taxonomy
from symptoms.errors import InputError, RunError

LABELS = labels_of_taxonomy()
IDS = tuple(label.id for label in LABELS)
CALIBRATION = RunCalibration(
    temperature=2.0, threshold=0.5, fitted_on="dev.jsonl", examples=10, checkpoint="tinker://a", labels=IDS
)
TEXT = "My heart races and I cannot sleep."
WRITTEN = "Key symptoms: insomnia, racing heart, fatigue\nRecommendation: See a GP."
KNOWN = {"difficulty falling asleep", "palpitations", "fatigue"}


def assessed(
    scores: dict[str, float], chooser: Chooser, written: str = WRITTEN, ended: bool = True, text: str = TEXT
) -> Assessment:
    logprobs = np.array([scores.get(label.id, -50.0) for label in LABELS])
    return chooser.compose(text, chooser.choose(logprobs), written, ended, None)


@pytest.mark.parametrize(
    ("written", "ended", "expected"),
    [
        ("Key symptoms: fatigue\nRecommendation: Rest.", True, Continuation(("fatigue",), "Rest.")),
        ("Key symptoms: none identified\nRecommendation: Rest.", True, Continuation((), "Rest.")),
        ("Key symptoms: fatigue, gold, fatigue\nRecommendation: R.", True, Continuation(("fatigue",), "R.")),
        ("Key symptoms: fatigue\nRecommendation: Rest and", False, Continuation(("fatigue",), None)),
        ("Key symptoms: fatigue, palpit", False, Continuation(("fatigue",), None)),
        ("Key symptoms: palpitations, fatigue", False, Continuation(("palpitations",), None)),
        ("Key symptoms: fatigue\nRecommendation: \x1b[2JRest.", True, Continuation(("fatigue",), None)),
        ("Key symptoms: fatigue\nRecommendation: Rest.\nMore: x", True, Continuation(("fatigue",), None)),
        ("Key symptoms: fatigue\nRecommendation: Take 50 mg.", True, Continuation(("fatigue",), None)),
        ("Key symptoms: fatigue\nRecommendation: You have OCD.", True, Continuation(("fatigue",), None)),
        ("Recommendation: Rest.", True, Continuation((), None)),
        ("gold", True, Continuation((), None)),
        ("", False, Continuation((), None)),
    ],
)
def test_only_what_is_whole_and_known_is_kept(written: str, ended: bool, expected: Continuation):
    """Invented or cut terms and malformed recommendations are left out."""
    assert read_continuation(written, ended, KNOWN) == expected


def test_evidence_stands_where_it_says():
    """Start and end are places in the input, and the words there are those quoted."""
    text = "😀 I am tired all day, and I cannot fall asleep."
    written = "Key symptoms: fatigue, difficulty falling asleep\nRecommendation: See a GP."
    assessment = assessed({"panic": 0.0}, Chooser(LABELS), written, text=text)
    spans = [span for symptom in assessment.key_symptoms for span in symptom.evidence]
    assert len(spans) >= 2
    assert all(text[span.start : span.end] == span.text for span in spans)


def test_below_the_threshold_no_label_is_the_answer():
    """Only symptoms that the text bears out and the standing recommendation are left."""
    chooser = Chooser(LABELS, calibration=CALIBRATION)
    written = "Key symptoms: fatigue, nightmares\nRecommendation: Ask about exposure therapy."
    scores = {"panic": 0.0, "ptsd": -0.1, "insomnia": -0.2}
    assessment = assessed(scores, chooser, written, text="I am tired all day.")
    assert assessment.abstained
    assert assessment.condition is None
    assert assessment.primary_concern is None
    assert assessment.leading[0].condition == "panic"
    assert assessment.alternatives == assessment.leading
    assert [symptom.symptom for symptom in assessment.key_symptoms] == ["fatigue"]
    assert assessment.recommendation == STANDING_RECOMMENDATION
    assert assessment.text.startswith("Primary concern: not clear from this description\n")
    assert assessment.abstained_because is not None
    assert "the nearest are Panic Disorder, " in assessment.abstained_because


def test_above_the_threshold_the_label_is_the_answer():
    """Probabilities are those of the fitted temperature."""
    assessment = assessed({"panic": 0.0, "ptsd": -4.0}, Chooser(LABELS, calibration=CALIBRATION))
    assert assessment.condition == "panic"
    assert assessment.calibrated
    assert not assessment.abstained
    assert assessment.probability == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)


def test_without_a_calibration_nothing_abstains():
    """However even the scores are; the assessment says that it is not calibrated."""
    assessment = assessed(dict.fromkeys(IDS, -1.0), Chooser(LABELS))
    assert not assessment.abstained
    assert not assessment.calibrated
    assert len(assessment.leading) == 5


@pytest.mark.parametrize(
    ("checkpoint", "labels", "applies"),
    [("tinker://a", IDS, True), ("tinker://b", IDS, False), ("tinker://a", IDS[::-1], False)],
)
def test_a_calibration_holds_for_its_checkpoint_and_labels(
    checkpoint: str, labels: tuple[str, ...], applies: bool
):
    """That of another checkpoint, or of other labels, is not used."""
    fitted = CALIBRATION.model_copy(update={"labels": labels})
    chooser = Chooser(LABELS, calibration=fitted).for_checkpoint(checkpoint)
    assert (chooser.calibration is not None) == applies


def test_a_calibration_is_read_as_written(tmp_path: Path):
    """No file is no calibration, and another file is refused with the next step."""
    assert read_calibration(tmp_path) is None
    write_calibration(tmp_path, CALIBRATION)
    assert read_calibration(tmp_path) == CALIBRATION
    (tmp_path / "calibration.json").write_text('{"temperature": 0}')
    with pytest.raises(RunError, match="write it anew with 'symptoms evaluate"):
        read_calibration(tmp_path)


def test_json_has_the_names_that_programs_rely_on():
    """Every name of the contract, also where the model could not be asked."""
    names = {
        "condition", "primary_concern", "probability", "alternatives", "leading", "key_symptoms",
        "recommendation", "abstained", "abstained_because", "calibrated", "crisis", "crisis_level",
        "crisis_notice", "language_notice", "text", "disclaimer",
    }  # fmt: skip
    text = "I am tired all day."
    written = "Key symptoms: fatigue\nRecommendation: R."
    answered = assessed({"panic": 0.0}, Chooser(LABELS), written, text=text).to_json()
    assert set(answered) == names
    assert answered["crisis_notice"] is None
    assert set(answered["leading"][0]) == {"condition", "primary_concern", "probability"}
    [symptom] = answered["key_symptoms"]
    assert set(symptom) == {"symptom", "evidence"}
    assert symptom["evidence"] == [{"start": 5, "end": 10, "text": "tired"}]
    notice = notice_for("I want to die", "uk")
    assert notice is not None
    lost = assessment_without_model(notice, InputError("Too long; shorten it.")).to_json()
    assert set(lost) == names
    assert lost["crisis"] is True
    assert set(lost["crisis_notice"]) == {"level", "category", "text", "country", "emergency", "lines"}
    assert lost["crisis_notice"]["country"] == "GB"
    assert set(lost["crisis_notice"]["lines"][0]) == {"name", "call", "text", "url", "hours"}


def test_the_notice_as_text_has_a_line_for_each_helpline():
    """The first line is the opening, and each other one names its line in the same order."""
    notice = notice_for("My husband hits me and I am afraid of him.", "US")
    assert notice is not None
    _, *rest = notice.text.split("\n")
    assert len(rest) == len(notice.lines)
    assert all(line.name in told for line, told in zip(notice.lines, rest, strict=True))
