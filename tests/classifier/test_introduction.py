"""What is said of a model above its answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symptoms.classifier import FurtherAccuracy, RunAccuracy, RunCalibration, read_accuracy, write_accuracy
from symptoms.classifier.introduction import introduction
from symptoms.errors import RunError

CALIBRATION = RunCalibration(
    temperature=1.4,
    threshold=0.62,
    risk=0.3,
    fitted_on="dev.jsonl",
    examples=150,
    checkpoint="a",
    labels=("x",),
)
ACCURACY = RunAccuracy(
    data="data/test.jsonl",
    examples=300,
    accuracy=0.51,
    low=0.45,
    high=0.57,
    answered=0.4,
    accuracy_when_answered=0.74,
    checkpoint="a",
)


def test_a_measured_run_tells_how_often_it_was_right_and_on_what():
    """With the interval, the data, and what its threshold does there."""
    told = introduction("first", 900, CALIBRATION, ACCURACY)
    assert "The run first answers, trained on 900 examples." in told
    assert "On 300 held-out texts (test.jsonl) its likeliest label was right for 51% (45% to 57%)." in told
    assert "at most 30% of its answers are wrong" in told
    assert "40% of the held-out texts, 74% of these rightly." in told
    assert "demonstration" not in told


def test_every_test_set_of_the_evaluation_is_told():
    """A second one stands beside the first, with its own interval."""
    second = FurtherAccuracy(data="data/test-2.jsonl", examples=150, accuracy=0.46, low=0.38, high=0.54)
    told = introduction("first", 900, CALIBRATION, ACCURACY.model_copy(update={"further": (second,)}))
    assert "51% (45% to 57%), on 150 held-out texts (test-2.jsonl) for 46% (38% to 54%)." in told


def test_an_accuracy_without_further_sets_can_be_read(tmp_path: Path):
    """As earlier versions have written it."""
    kept = ACCURACY.model_dump(exclude={"further"})
    (tmp_path / "accuracy.json").write_text(json.dumps(kept))
    assert read_accuracy(tmp_path, "a") == ACCURACY


def test_a_run_that_breaks_its_risk_on_the_test_says_so():
    """Dev and test may differ; then the card does not go on claiming what dev showed."""
    worse = ACCURACY.model_copy(update={"accuracy_when_answered": 0.67})
    assert "67% of these rightly, fewer than aimed for." in introduction("first", 900, CALIBRATION, worse)


def test_a_model_of_thirty_examples_is_a_demonstration():
    """It says so first, and that nothing was measured or calibrated."""
    told = introduction("mine", 30, None, None)
    assert told.startswith("The run mine is a demonstration: trained on 30 examples")
    assert "was not measured" in told
    assert "not calibrated" in told
    assert "only from 97% on" in told


def test_a_run_that_reaches_no_threshold_says_so():
    """And that it therefore names nothing."""
    never = CALIBRATION.model_copy(update={"threshold": None})
    told = introduction("first", 900, never, ACCURACY)
    assert "No probability is known above which at most 30% of its answers are wrong" in told
    assert "it names no condition" in told


def test_a_checkpoint_of_no_run_is_not_given_a_past():
    """What it was trained on is not known."""
    assert "no run here saved" in introduction(None, None, None, None)


def test_an_accuracy_is_read_for_its_own_checkpoint_alone(tmp_path: Path):
    """Another checkpoint was not measured, and another file is refused with the next step."""
    assert read_accuracy(tmp_path, "a") is None
    write_accuracy(tmp_path, ACCURACY)
    assert read_accuracy(tmp_path, "a") == ACCURACY
    assert read_accuracy(tmp_path, "b") is None
    (tmp_path / "accuracy.json").write_text("{}")
    with pytest.raises(RunError, match="write it anew with 'symptoms evaluate"):
        read_accuracy(tmp_path, "a")


def test_an_accuracy_on_more_texts_is_not_replaced_by_one_on_fewer(tmp_path: Path):
    """What is told above answers stays that of the larger test, unless the weights are others."""
    write_accuracy(tmp_path, ACCURACY)
    write_accuracy(tmp_path, ACCURACY.model_copy(update={"examples": ACCURACY.examples - 1, "accuracy": 0.9}))
    assert read_accuracy(tmp_path, "a") == ACCURACY
    again = ACCURACY.model_copy(update={"accuracy": 0.6})
    write_accuracy(tmp_path, again)
    assert read_accuracy(tmp_path, "a") == again
    other = ACCURACY.model_copy(update={"examples": 3, "checkpoint": "b"})
    write_accuracy(tmp_path, other)
    assert read_accuracy(tmp_path, "b") == other
