"""What a report draws, and what it tells in place of a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from test_report import made_evaluation

from symptoms.evaluate.measures.metrics import ConditionScore
from symptoms.report.figures import conditions, reliability, risk_coverage
from symptoms.report.pages import write_report


def test_a_picture_that_would_show_nothing_is_told_instead(tmp_path: Path):
    """One group of answers makes no reliability diagram, and equally sure answers no curve of risk."""
    evaluation = made_evaluation()
    [one, *_] = evaluation.scores.calibration.bins
    calibration = replace(evaluation.scores.calibration, bins=(one,))
    curve = replace(evaluation.scores.risk_coverage, coverage=(1.0,), risk=(0.25,))
    alike = replace(
        evaluation, scores=replace(evaluation.scores, calibration=calibration, risk_coverage=curve)
    )
    assert reliability(alike.scores) is None
    assert risk_coverage(alike) is None
    page = write_report(tmp_path, alike).read_text()
    assert f"{one.count} were {one.confidence:.0%} sure, {one.accuracy:.0%} of them right" in page
    assert "All answers are equally sure" in page
    assert "on the dashed line" not in page.lower()


def test_conditions_of_which_nothing_was_recognised_are_named_and_not_drawn(tmp_path: Path):
    """An empty row of a figure would say less than a sentence."""
    evaluation = made_evaluation()
    missed = ConditionScore("specific_phobia", 0.0, 0.0, 0.0, support=4, predicted=3)
    known = evaluation.scores.conditions
    some = replace(evaluation, scores=replace(evaluation.scores, conditions=(*known, missed)))
    assert "specific phobia" not in (conditions(some) or "")
    page = write_report(tmp_path, some).read_text()
    assert f"Nothing recognised of 1 of {len(known) + 1} conditions" in page
    assert "specific phobia (4; 3)" in page
    none = replace(evaluation, scores=replace(evaluation.scores, conditions=(missed,)))
    assert conditions(none) is None


def test_three_mistakes_stand_open_and_the_others_unfold(tmp_path: Path):
    """None is lost, and the figures of single tokens are behind a click."""
    evaluation = made_evaluation(30, 10)
    count = len(evaluation.mistakes)
    page = write_report(tmp_path / "many", evaluation).read_text()
    before, folded = page.split(f"<summary>{count - 3} more</summary>")
    assert before.count('<div class="mistake">') == 3
    assert folded.count('<div class="mistake">') == count - 3
    few = write_report(tmp_path / "few", replace(evaluation, mistakes=evaluation.mistakes[:2])).read_text()
    assert few.count('<div class="mistake">') == 2
    assert "more</summary>" not in few
    none = write_report(tmp_path / "none", replace(evaluation, mistakes=())).read_text()
    assert "worst mistakes" not in none
