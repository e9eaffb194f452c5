"""From scores and words to an assessment, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from symptoms.classifier import Assessment, RunCalibration, notice_for, read_calibration, write_calibration
from symptoms.classifier.composing import Chooser, assessment_without_model
from symptoms.classifier.continuation import named_symptoms
from symptoms.classifier.recommending import STANDING_RECOMMENDATION, recommendation_for
from symptoms.data import Label, labels_of_taxonomy
from symptoms.errors import InputError, RunError, ServiceError
from symptoms.evaluate.recommendations import names_a_drug_or_dose, says_you_have
from symptoms.taxonomy import symptom_terms

LABELS = labels_of_taxonomy()
IDS = tuple(label.id for label in LABELS)
CALIBRATION = RunCalibration(
    temperature=2.0,
    threshold=0.5,
    risk=0.3,
    fitted_on="dev.jsonl",
    examples=10,
    checkpoint="tinker://a",
    labels=IDS,
)
TEXT = "My heart races and I cannot sleep."
WRITTEN = "Key symptoms: insomnia, racing heart, fatigue\nRecommendation: See a GP."
KNOWN = {"difficulty falling asleep", "palpitations", "fatigue"}


def assessed(
    scores: dict[str, float], chooser: Chooser, written: str = WRITTEN, ended: bool = True, text: str = TEXT
) -> Assessment:
    logprobs = np.array([scores.get(label.id, -50.0) for label in LABELS])
    named = named_symptoms(written, ended, chooser.terms)
    return chooser.compose(text, chooser.choose(logprobs), named, None)


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_told_in_a_sentence(odd: float):
    """One is enough, since probabilities are shares; a label that is impossible is no fault."""
    with pytest.raises(ServiceError, match=r"no numbers.*ask another run"):
        assessed({"panic": odd}, Chooser(LABELS))
    assert assessed({"panic": 0.0, "ocd": -float("inf")}, Chooser(LABELS)).condition == "panic"


SPANISH = "No puedo dormir por las noches y me despierto con el corazón a mil, no sé qué me pasa."
CYRILLIC = "Я не могу спать по ночам, и сердце бьётся очень быстро."


@pytest.mark.parametrize(("text", "language"), [(SPANISH, "Spanish"), (CYRILLIC, "Cyrillic letters")])
@pytest.mark.parametrize("likeliest", ["panic", "no_clinical_concern"])
def test_a_language_that_was_not_learnt_gets_no_answer(text: str, language: str, likeliest: str):
    """However sure the scores are, the reason names the language, and nothing is said to be everyday life."""
    chooser = Chooser(LABELS, calibration=CALIBRATION, languages=frozenset({"English"}))
    found = assessed({likeliest: 0.0}, chooser, text=text)
    assert (found.abstained, found.condition, found.recommendation) == (True, None, STANDING_RECOMMENDATION)
    assert language in str(found.abstained_because)
    assert "English" in str(found.abstained_because)
    assert found.unread


@pytest.mark.parametrize("languages", [frozenset[str](), frozenset({"English", "Spanish"})])
def test_a_language_that_was_learnt_is_answered(languages: frozenset[str]):
    """A model of Spanish texts answers Spanish ones, and so does one of which the languages are not known."""
    found = assessed(
        {"panic": 0.0}, Chooser(LABELS, calibration=CALIBRATION, languages=languages), text=SPANISH
    )
    assert found.condition == "panic"
    assert not found.unread


def test_short_and_mixed_texts_count_as_what_was_learnt():
    """A few words, or an English text with a foreign saying in it, are not taken for another language."""
    chooser = Chooser(LABELS, calibration=CALIBRATION, languages=frozenset({"English"}))
    for text in ("Insomnio", "No sleep.", "As my mother says, que sera sera, but I can't sleep for weeks."):
        assert assessed({"panic": 0.0}, chooser, text=text).condition == "panic"


@pytest.mark.parametrize(
    ("written", "ended", "expected"),
    [
        ("Key symptoms: fatigue", True, ("fatigue",)),
        ("Key symptoms: fatigue\nRecommendation: Rest.", True, ("fatigue",)),
        ("Key symptoms: none identified", True, ()),
        ("Key symptoms: fatigue, gold, fatigue", True, ("fatigue",)),
        ("Key symptoms: fatigue, palpit", False, ("fatigue",)),
        ("Key symptoms: palpitations, fatigue", False, ("palpitations",)),
        ("Recommendation: Rest.", True, ()),
        ("gold", True, ()),
        ("", False, ()),
    ],
)
def test_only_what_is_whole_and_known_is_kept(written: str, ended: bool, expected: tuple[str, ...]):
    """Invented or cut terms are left out."""
    assert named_symptoms(written, ended, KNOWN) == expected


def test_a_symptom_that_nothing_was_said_about_is_not_shown():
    """A lunch with a friend has no compulsive washing, whatever the model wrote, and no pharmacist."""
    written = "Key symptoms: compulsive washing, racing heart\nRecommendation: Ask a pharmacist."
    assessment = assessed({"ocd": 0.0}, Chooser(LABELS), written, text="I had lunch with a friend.")
    assert assessment.condition == "ocd"
    assert assessment.key_symptoms == ()
    assert "pharmacist" not in assessment.text
    assert "washing" not in assessment.text


@pytest.mark.parametrize("label", LABELS, ids=IDS)
def test_a_recommendation_is_chosen_for_its_label_and_symptoms(label: Label):
    """Every label has one of its own, with no drug, dose or diagnosis; everyday life has none."""
    terms = [term for group in symptom_terms().values() for term in group]
    if label.id == "no_clinical_concern":
        assert recommendation_for(label.id, terms) is None
        return
    alone = recommendation_for(label.id, ())
    assert alone is not None
    assert alone != STANDING_RECOMMENDATION
    for term in terms:
        chosen = recommendation_for(label.id, (term,))
        assert chosen is not None
        assert chosen.startswith(alone)
        assert not names_a_drug_or_dose(chosen)
        assert not says_you_have(chosen)


def test_the_heaviest_symptom_that_stands_is_spoken_of():
    """Thoughts of death come before sleep, and what the label is about is not said twice."""
    chosen = recommendation_for("depression", ("difficulty falling asleep", "thoughts of death or self-harm"))
    assert chosen is not None
    assert "thoughts of death" in chosen
    assert "sleep" not in chosen
    assert recommendation_for("insomnia", ("waking at night",)) == recommendation_for("insomnia", ())
    assert recommendation_for("homesickness", ()) == STANDING_RECOMMENDATION


def test_what_resembles_everyday_life_gets_no_recommendation():
    """As the answer, and as the nearest; an unclear text in which a symptom stands gets one."""
    chooser = Chooser(LABELS, calibration=CALIBRATION)
    clear = assessed({"no_clinical_concern": 0.0}, chooser, "", text="I had lunch with a friend.")
    assert clear.condition == "no_clinical_concern"
    assert clear.recommendation is None
    assert clear.text.endswith("\nRecommendation: none")
    close = {"no_clinical_concern": 0.0, "insomnia": -0.1, "burnout": -0.1}
    assert assessed(close, chooser, "", text="I had lunch with a friend.").recommendation is None
    tired = assessed(close, chooser, "Key symptoms: fatigue", text="I am tired all day.")
    assert tired.recommendation is not None


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
    assert assessment.recommendation == f"{STANDING_RECOMMENDATION} Mention how tired you are, too."
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


@pytest.mark.parametrize(("gap", "abstains"), [(0.0, True), (3.0, True), (6.0, False)])
def test_without_a_calibration_only_the_surest_are_answered(gap: float, abstains: bool):
    """At 95% none is named, at 99.7% one is; the assessment is not calibrated, and never more than unsure."""
    assessment = assessed({"panic": 0.0, "ptsd": -gap}, Chooser(LABELS))
    assert assessment.abstained == abstains
    assert not assessment.calibrated
    assert assessment.certainty == ("none" if abstains else "low")


def test_a_run_without_a_threshold_names_nothing():
    """Where no threshold is known to keep the risk, even certainty is no answer."""
    never = CALIBRATION.model_copy(update={"threshold": None})
    assessment = assessed({"panic": 0.0}, Chooser(LABELS, calibration=never))
    assert assessment.abstained
    assert assessment.calibrated


@pytest.mark.parametrize(("gap", "certainty"), [(1.0, "moderate"), (8.0, "high"), (0.1, "none")])
def test_certainty_follows_the_probability(gap: float, certainty: str):
    """62% is moderate, 98% is high, and 51% of two with a threshold above it is none."""
    fitted = CALIBRATION.model_copy(update={"threshold": 0.55})
    assessment = assessed({"panic": 0.0, "ptsd": -gap}, Chooser(LABELS, calibration=fitted))
    assert assessment.certainty == certainty


def test_a_third_label_is_named_only_where_it_is_near():
    """Two where the third is far off, three where it is as probable as the second."""
    chooser = Chooser(LABELS)
    two = assessed({"panic": 0.0, "ptsd": -0.5, "insomnia": -3.0}, chooser).abstained_because
    three = assessed({"panic": 0.0, "ptsd": -0.5, "insomnia": -0.6}, chooser).abstained_because
    assert two is not None
    assert three is not None
    assert "Insomnia" not in two
    assert "Insomnia" in three


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


def test_a_threshold_that_keeps_no_risk_is_not_used():
    """By an earlier version 80% were answered whatever their accuracy; that counts as uncalibrated."""
    earlier = CALIBRATION.model_copy(update={"risk": None})
    assert Chooser(LABELS, calibration=earlier).for_checkpoint("tinker://a").calibration is None


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
        "crisis_notice", "language_notice", "text", "disclaimer", "certainty", "about_the_model", "unread",
    }  # fmt: skip
    text = "I am tired all day."
    written = "Key symptoms: fatigue\nRecommendation: R."
    answered = assessed({"panic": 0.0}, Chooser(LABELS), written, text=text).to_json()
    assert set(answered) == names
    assert answered["crisis_notice"] is None
    assert set(answered["leading"][0]) == {"condition", "primary_concern", "probability"}
    [symptom] = answered["key_symptoms"]
    assert set(symptom) == {"symptom", "evidence"}
    assert symptom["evidence"] == [{"start": 5, "end": 18, "text": "tired all day"}]
    notice = notice_for("I want to die", "uk")
    assert notice is not None
    lost = assessment_without_model(notice, InputError("Too long; shorten it.")).to_json()
    assert set(lost) == names
    assert lost["crisis"] is True
    assert set(lost["crisis_notice"]) == {
        "level",
        "category",
        "text",
        "country",
        "emergency",
        "lines",
        "opens_in",
    }
    assert lost["crisis_notice"]["country"] == "GB"
    assert set(lost["crisis_notice"]["lines"][0]) == {"name", "call", "text", "url", "hours"}


def test_the_notice_as_text_has_a_line_for_each_helpline():
    """The first line is the opening, and each other one names its line in the same order."""
    notice = notice_for("My husband hits me and I am afraid of him.", "US")
    assert notice is not None
    _, *rest = notice.text.split("\n")
    assert len(rest) == len(notice.lines)
    assert all(line.name in told for line, told in zip(notice.lines, rest, strict=True))


def test_no_condition_is_named_where_there_may_be_none_to_name():
    """From the bound on a condition is kept back however likely, and everyday life is answered as ever."""
    bound = CALIBRATION.model_copy(update={"temperature": 1.0, "out_of_scope_bound": 0.05})
    chooser = Chooser(LABELS, calibration=bound)
    unlikely, likely = np.log([0.03, 0.08])
    assert assessed({"ocd": 0.0, "no_clinical_concern": unlikely}, chooser).condition == "ocd"
    kept_back = assessed({"ocd": 0.0, "not_enough_information": likely}, chooser)
    assert kept_back.abstained
    assert (kept_back.abstained_because or "").startswith("This may give no reason to name a condition, so")
    assert kept_back.leading[0].condition == "ocd"
    assert assessed({"no_clinical_concern": 0.0}, chooser).condition == "no_clinical_concern"
