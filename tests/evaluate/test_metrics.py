"""Metrics equal scikit-learn's, and answers that are missing count as wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from symptoms.evaluate.measures.intervals import accuracy_statistic, macro_f1_statistic
from symptoms.evaluate.measures.metrics import (
    accuracy,
    balanced_accuracy,
    condition_scores,
    confusion,
    macro_f1,
    symptom_scores,
)

CONDITIONS = st.sampled_from(["panic", "ocd", "ptsd", "burnout"])
PAIRS = st.lists(st.tuples(CONDITIONS, CONDITIONS), min_size=1, max_size=40)


@given(PAIRS)
def test_scores_equal_those_of_scikit_learn(pairs: list[tuple[str, str]]):
    """Accuracy, macro-F1 and balanced accuracy over the conditions that occur are scikit-learn's."""
    wanted, answered = zip(*pairs, strict=True)
    present = sorted(set(wanted))
    assert accuracy(wanted, answered) == pytest.approx(accuracy_score(wanted, answered))
    expected = f1_score(wanted, answered, labels=present, average="macro", zero_division=0.0)
    assert macro_f1(wanted, answered) == pytest.approx(expected)
    recalls = [np.mean([a == c for w, a in pairs if w == c]) for c in present]
    assert balanced_accuracy(wanted, answered) == pytest.approx(np.mean(recalls))
    if set(answered) <= set(wanted) and len(present) > 1:
        assert balanced_accuracy(wanted, answered) == pytest.approx(balanced_accuracy_score(wanted, answered))


@given(st.lists(st.tuples(CONDITIONS, st.none() | CONDITIONS), min_size=1, max_size=40))
def test_the_quick_statistics_equal_the_metrics(pairs: list[tuple[str, str | None]]):
    """What the bootstrap computes thousands of times is the metric itself, missing answers included."""
    wanted, answered = zip(*pairs, strict=True)
    everything = np.arange(len(pairs))[None]
    assert accuracy_statistic(wanted, answered)(everything) == pytest.approx([accuracy(wanted, answered)])
    assert macro_f1_statistic(wanted, answered)(everything) == pytest.approx([macro_f1(wanted, answered)])


def test_a_missing_answer_is_wrong():
    """None lowers every figure and stands in a column of its own."""
    wanted, answered = ["panic", "panic", "ocd"], ["panic", None, "ocd"]
    assert accuracy(wanted, answered) == pytest.approx(2 / 3)
    assert condition_scores(wanted, answered)[0].recall == 0.5
    assert confusion(wanted, answered, ["panic", "ocd"]) == [[1, 0, 1], [0, 1, 0]]


def test_symptoms_are_scored_over_all_terms_and_term_by_term():
    """Micro-F1 pools the terms, macro-F1 gives each annotated term one vote."""
    wanted = [("fatigue", "guilt"), ("fatigue",), ()]
    named = [("fatigue",), ("fatigue", "nightmares"), ()]
    scores = symptom_scores(wanted, named, [(), (), ()])
    assert scores.micro_f1 == pytest.approx(2 * 2 / (3 + 3))
    assert scores.macro_f1 == pytest.approx((1.0 + 0.0) / 2)


def test_a_symptom_is_unsupported_when_neither_annotation_nor_text_bears_it_out():
    """Words of the text that bear a term out count like the annotation."""
    wanted, named = [("fatigue",)], [("fatigue", "nightmares", "guilt")]
    assert symptom_scores(wanted, named, [("nightmares",)]).unsupported_rate == pytest.approx(1 / 3)


def test_no_symptoms_anywhere_is_a_full_score():
    """Naming nothing where there is nothing is right."""
    assert symptom_scores([()], [()], [()]).micro_f1 == 1.0
