"""Symptom terms by conditions, words and cues: what each says, what is named, and the file that keeps it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from symptoms.classifier import SymptomCalibration, SymptomModel, SymptomReader, fit_symptom_model
from symptoms.classifier.word_models.symptom_reading import (
    SYMPTOMS_FILE,
    read_symptom_model,
    write_symptom_model,
)
from symptoms.data import load_dataset
from symptoms.errors import RunError

LABELS = ("panic", "ocd", "insomnia")
EXAMPLES = [one for one in load_dataset(Path("data/train-900.jsonl")).examples if one.condition in LABELS]
AWAKE = "I cannot fall asleep, I lie awake for hours every night."
SURE_OF_INSOMNIA = np.array([0.0, 0.0, 1.0])


@cache
def fitted() -> SymptomModel:
    model = fit_symptom_model(
        [one.input for one in EXAMPLES],
        [one.condition for one in EXAMPLES],
        [one.symptoms or () for one in EXAMPLES],
        LABELS,
    )
    assert model is not None
    return model


def reader(conditions: float, words: float, cues: float, threshold: float = 0.5) -> SymptomReader:
    weighed = SymptomCalibration(
        weights=(conditions, words, cues), offset=0.0, threshold=threshold, examples=1
    )
    return SymptomReader(fitted(), weighed)


def of_term(term: str, probabilities: np.ndarray, text: str) -> np.ndarray:
    return fitted().figures(probabilities, text)[fitted().terms.index(term)]


def test_terms_go_with_conditions_as_in_the_training_set() -> None:
    """A term that half of a condition's texts have has log-odds of about nothing there, and few elsewhere."""
    own = [one for one in EXAMPLES if one.condition == "insomnia"]
    term = "difficulty falling asleep"
    share = sum(term in (one.symptoms or ()) for one in own) / len(own)
    said = of_term(term, SURE_OF_INSOMNIA, "xyzzy")[0]
    assert 1 / (1 + np.exp(-said)) == pytest.approx(share, abs=0.05)
    assert of_term(term, np.array([0.0, 1.0, 0.0]), "xyzzy")[0] < said - 2


def test_the_conditions_count_by_their_probabilities() -> None:
    """Between two conditions a term is as likely as the two make it."""
    term = "difficulty falling asleep"
    shares = fitted().shares[:, fitted().terms.index(term)]
    said = of_term(term, np.array([0.0, 0.5, 0.5]), "xyzzy")[0]
    assert 1 / (1 + np.exp(-said)) == pytest.approx((shares[1] + shares[2]) / 2, abs=1e-4)


def test_a_cue_speaks_for_its_term_and_its_absence_against() -> None:
    """Words of lying awake raise the term, and texts without any lower it."""
    term = "difficulty falling asleep"
    assert of_term(term, SURE_OF_INSOMNIA, AWAKE)[2] > 0 > of_term(term, SURE_OF_INSOMNIA, "xyzzy")[2]


def test_what_is_named_is_likely_enough_and_the_likeliest_first() -> None:
    """All terms at or above the threshold, in the order of their probabilities, and no other."""
    by_all = reader(1.0, 0.3, 0.7, threshold=0.3)
    named = by_all.named(SURE_OF_INSOMNIA, AWAKE)
    found = dict(zip(fitted().terms, by_all.probabilities(SURE_OF_INSOMNIA, AWAKE), strict=True))
    assert set(named) == {term for term, probability in found.items() if probability >= 0.3}
    assert list(named) == sorted(named, key=lambda term: -found[term])
    assert "difficulty falling asleep" in named
    assert reader(1.0, 0.3, 0.7, threshold=1.0).named(SURE_OF_INSOMNIA, AWAKE) == ()


def test_a_figure_of_weight_nothing_says_nothing() -> None:
    """With the weight of the conditions alone the text does not matter, with that of cues the condition."""
    by_conditions, by_cues = reader(1.0, 0.0, 0.0), reader(0.0, 0.0, 1.0)
    elsewhere = np.array([1.0, 0.0, 0.0])
    assert np.array_equal(
        by_conditions.probabilities(SURE_OF_INSOMNIA, AWAKE),
        by_conditions.probabilities(SURE_OF_INSOMNIA, "xyzzy"),
    )
    assert np.array_equal(
        by_cues.probabilities(SURE_OF_INSOMNIA, AWAKE), by_cues.probabilities(elsewhere, AWAKE)
    )


def test_a_file_keeps_all_of_it(tmp_path: Path) -> None:
    """What is read back says the same, to the last bit."""
    write_symptom_model(tmp_path, fitted())
    again = read_symptom_model(tmp_path)
    assert again is not None
    assert again.terms == fitted().terms
    for example in EXAMPLES[:5]:
        assert np.array_equal(
            again.figures(SURE_OF_INSOMNIA, example.input), fitted().figures(SURE_OF_INSOMNIA, example.input)
        )


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    """A file that is none, or another, ends in a sentence; no file is none."""
    assert read_symptom_model(tmp_path) is None
    (tmp_path / SYMPTOMS_FILE).write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"symptoms.npz cannot be read"):
        read_symptom_model(tmp_path)
    np.savez(tmp_path / SYMPTOMS_FILE, other=np.zeros(1))
    with pytest.raises(RunError, match=r"symptoms.npz cannot be read"):
        read_symptom_model(tmp_path)


def test_too_little_to_learn_from_is_no_model() -> None:
    """No term, a term that every text has, no word three times, a label without a text: None."""
    same = ["the same words"] * 4
    assert fit_symptom_model(same, list("aabb"), [(), (), (), ()], ("a", "b")) is None
    assert fit_symptom_model(same, list("aabb"), [("x",)] * 4, ("a", "b")) is None
    assert fit_symptom_model(list("klmn"), list("aabb"), [("x",), (), (), ()], ("a", "b")) is None
    assert fit_symptom_model(same, list("aaaa"), [("x",), (), (), ()], ("a", "b")) is None
    assert fit_symptom_model(same, list("aabb"), [("x",), (), (), ()], ("a", "b")) is not None
