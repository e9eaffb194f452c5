"""The page of measurements: ratios, shares of the floor and goals, from a small run that is kept here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import curves, report
from benchmarks.derived import peak_bytes, ratio, share_of_floor
from benchmarks.flops import Shape, step_flops
from benchmarks.goals import GOALS

SMALL = Path(__file__).parent / "small_run.json"


@pytest.fixture
def run() -> dict[str, Any]:
    return json.loads(SMALL.read_text())


def test_ratio_is_the_median_of_each_turns_own(run: dict[str, Any]) -> None:
    """A turn in which the machine was slow for both is no reason for another ratio than theirs."""
    assert ratio(run["cases"]["train-135m"], "peft, bfloat16", "ours") == 3.0


def test_share_of_the_floor_goes_by_the_rate_of_the_same_turn(run: dict[str, Any]) -> None:
    """80 GFLOP at 400 GFLOP/s are 0.2 s of the 0.25 that it took; in the slow turn, 0.4 of 0.5."""
    assert share_of_floor(run["cases"]["train-135m"], "ours") == pytest.approx(0.8)


def test_a_contestant_that_did_not_run_stands_in_the_table_without_figures(run: dict[str, Any]) -> None:
    """The reader sees that it was to take part."""
    case = run["cases"]["train-135m"]
    assert "| TRL, bfloat16 | did not run |" in report.case_table(case)
    assert ratio(case, "TRL, bfloat16", "ours") is None
    assert peak_bytes(case, "TRL, bfloat16") is None


def test_a_goal_that_is_reached_stands_in_bold(run: dict[str, Any]) -> None:
    """3.00 times as fast as peft is at least 2.50, and what was not measured has no figure."""
    lines = report.goals_table([run]).splitlines()
    assert "| 135M, 128 tokens: times as fast as peft in bfloat16 | at least 2.50 | **3.00** |" in lines
    assert "| two servers training at once, by one alone | at most 2.50 |  |" in lines


def test_every_goal_is_of_a_contestant_that_takes_part() -> None:
    """A name that no case has would leave its cell empty for ever."""
    from benchmarks import cases

    names = {value for name, value in vars(cases).items() if name.isupper() and isinstance(value, str)}
    names |= {name + cases.MANY for name in names} | {""}
    assert {goal.of for goal in GOALS} | {goal.to for goal in GOALS} <= names
    assert {goal.case for goal in GOALS} <= {plan.name for plan in cases.plans(beside=False)}


def test_page_tells_what_it_was_measured_on_and_has_no_table_of_points_on_curves(run: dict[str, Any]) -> None:
    """Points of curves are in the figures alone."""
    text = report.page_text([run])
    assert "A processor (avx512f), 2 cores, 8 GiB" in text
    assert "peft 0.21.2, torch 2.13.0" in text
    assert "load before a case: 0.5 to 1.5" in text
    assert "32 tokens" not in text


def test_curves_are_drawn_where_a_run_has_them(run: dict[str, Any], tmp_path: Path) -> None:
    """Both figures are written, and none of a run without points."""
    told = {file for file, _ in curves.draw_curves([run], tmp_path)}
    assert told == {path.name for path in tmp_path.iterdir()} == {"performance.png", "performance-memory.png"}
    for path in tmp_path.iterdir():
        path.unlink()
    del run["cases"]["curve-tokens-32"]
    assert curves.draw_curves([run], tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_operations_of_a_step_by_hand() -> None:
    """One layer of one head, counted product by product."""
    shape = Shape(vocabulary=10, width=4, layers=1, heads=1, key_heads=1, inner=6, head_width=4)
    weights = 4 * 4 * 4 + 3 * 4 * 6
    adapters = 4 * (4 + 4) + 3 * (4 + 6)
    rows, length, trained, rank = 2, 5, 3, 2
    tokens, counted = 10, 6
    expected = 4 * tokens * weights + 6 * tokens * rank * adapters
    expected += 3 * (2 * 2 * rows * length * length * 4)
    expected += 4 * counted * 4 * 10 + 6 * counted * rank * (4 + 10)
    assert shape.parameters == weights + 40
    assert step_flops(shape, rows, length, trained, rank) == expected


def test_a_step_at_135_million_parameters_needs_about_74_gflop() -> None:
    """Batch 1 of 128 tokens, 64 of them trained, rank 32 on all layers and the head."""
    from benchmarks.models import SHAPES

    assert step_flops(SHAPES["smollm2-135m"], 1, 128, 64, 32) / 1e9 == pytest.approx(74, abs=1.5)
