"""What a comparison says of runs that were evaluated, checked on answers that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_report import HOSTILE, Tags, made_evaluation, made_predictions

from symptoms.report.comparing import ComparedRun, compare
from symptoms.report.comparison_figures import dev_curves, loss_curves
from symptoms.report.comparison_figures import test_differences as differences_drawn
from symptoms.report.comparison_page import HEADS, table_rows, verdicts, write_comparison
from symptoms.runs.step_metrics import StepMetrics


def made_run(batch_size: int, seed: int, right: int, dollars: float | None = 0.0) -> ComparedRun:
    """A run that answers so many of 40 test texts rightly."""
    answers = made_predictions(40, 0)
    wrong = [replace(one, predicted="no_such") for one in answers[right:]]
    evaluation = made_evaluation()
    return ComparedRun(
        name=f"run-{batch_size}-seed{seed}",
        seed=seed,
        settings={"batch_size": batch_size, "data": HOSTILE},
        is_finished=True,
        metrics=tuple(StepMetrics(n, 1, 4.0 / n, 1e-3, 100, 50, 0.5) for n in range(1, 9)),
        dev=({"step": 4, "dev_loss": 2.0}, {"step": 8, "dev_loss": 1.0 + seed}),
        final_loss=0.5 + seed,
        dollars=dollars,
        evaluation=replace(evaluation, test=replace(evaluation.test, path=HOSTILE)),
        answers=(*answers[:right], *wrong),
    )


def test_differences_are_paired_over_the_mean_of_seeds():
    """Accuracies of 1 and 0.5 against 0.5 and 0 differ by a half; the first group has no difference."""
    runs = [made_run(1, 0, 20), made_run(1, 1, 0), made_run(4, 0, 40), made_run(4, 1, 20)]
    first, second = compare(runs).groups
    assert first.test is not None
    assert second.test is not None
    assert (first.test.accuracy.value, second.test.accuracy.value) == (0.25, 0.75)
    assert first.test.accuracy_difference is None
    gap = second.test.accuracy_difference
    assert gap is not None
    # Each example adds a half on either side, so that paired resampling has nothing to vary.
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.5, 0.5, 0.5))
    assert second.test.accuracy.low < 0.75 < second.test.accuracy.high


def test_groups_that_only_files_tell_apart_have_names_of_their_own():
    """Where a setting varies as well, digests are told for those that it does not name alone."""
    runs = [
        replace(run, settings={**run.settings, "base weights": weights})
        for run, weights in [(made_run(1, 0, 9), "aa"), (made_run(1, 1, 9), "bb"), (made_run(4, 0, 9), "aa")]
    ]
    assert [group.name for group in compare(runs).groups] == [
        "batch size 1, base weights aa",
        "batch size 1, base weights bb",
        "batch size 4",
    ]


def test_a_group_that_has_all_right_has_doubt_all_the_same():
    """The bounds of its accuracies are those of 40 of 40, which resampling cannot tell."""
    [group] = compare([made_run(1, 0, 40)]).groups
    assert group.test is not None
    for accuracy in (group.test.accuracy, group.test.label_accuracy):
        assert (accuracy.value, accuracy.high) == (1.0, 1.0)
        assert accuracy.low == pytest.approx(40 / (40 + 1.96**2), abs=1e-4)


def test_equal_answers_do_not_differ():
    """Two settings with the same answers are not told apart by the bootstrap's noise."""
    comparison = compare([made_run(1, 0, 30), made_run(4, 0, 30)])
    assert verdicts(comparison) == [
        "batch size 4 does not differ: macro-F1 +0.00 (+0.00 to +0.00) against batch size 1."
    ]


def test_other_test_sets_are_not_compared():
    """A run with figures on another file has none here, which is told."""
    other = made_run(4, 0, 40)
    assert other.evaluation is not None
    elsewhere = replace(other.evaluation, test=replace(other.evaluation.test, sha256="other"))
    comparison = compare([made_run(1, 0, 30), replace(other, evaluation=elsewhere)])
    assert comparison.groups[1].test is None
    assert any("Without figures on this test set" in note for note in comparison.notes)


def test_the_spread_over_seeds_is_their_range():
    """Mean, smallest and largest; the price is known only if that of every run is."""
    [group] = compare([made_run(1, 0, 30, 1.5), made_run(1, 2, 30, None)]).groups
    spread = group.spread(lambda run: run.used_dev["dev_loss"])
    assert spread is not None
    assert (spread.mean, spread.low, spread.high, spread.count) == (1.5, 1.0, 2.0, 2)
    assert group.dollars is None


@pytest.mark.parametrize(("best_by", "step"), [("dev_loss", 4), ("dev_concern_loss", 8), ("last", 12)])
def test_dev_figures_are_of_the_weights_that_are_used(best_by: str, step: int):
    """The lowest loss is only shown where it is what the weights are chosen by."""
    dev = (
        {"step": 4, "dev_loss": 1.0, "dev_concern_loss": 0.9},
        {"step": 8, "dev_loss": 1.5, "dev_concern_loss": 0.5},
        {"step": 12, "dev_loss": 2.0, "dev_concern_loss": 0.7},
    )
    run = made_run(1, 0, 30)
    assert replace(run, dev=dev, settings={**run.settings, "best_by": best_by}).used_dev["step"] == step


def test_the_label_alone_is_told_apart_from_an_answer_that_can_be_read():
    """Of 40 right labels ten stand in answers that cannot be read."""
    run = made_run(1, 0, 40)
    assert run.answers is not None
    unread = [replace(one, written="?", written_condition=None) for one in run.answers[:10]]
    [group] = compare([replace(run, answers=(*unread, *run.answers[10:]))]).groups
    assert group.test is not None
    assert (group.test.label_accuracy.value, group.test.parse_rate) == (1.0, 0.75)
    assert group.test.accuracy.value == 0.75


def test_the_page_stands_alone_and_shows_text_as_text(tmp_path: Path):
    """All figures are there, nothing is loaded, and markup in names stays text."""
    runs = [made_run(size, seed, 20 + 2 * size + seed) for size in (1, 4, 8) for seed in (0, 1)]
    write_comparison(tmp_path / "out/page.html", compare(runs))
    page = (tmp_path / "out/page.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.names
    assert [one for one in tags.loads if not one.startswith("#")] == []
    assert page.count("<svg") == 4
    assert "batch size 8 is better" in page


def test_on_few_texts_runs_are_not_told_apart():
    """Two texts that one run has right and the other wrong are no verdict."""
    first, second = made_run(1, 0, 0), made_run(4, 0, 40)
    few = [replace(run, answers=None if run.answers is None else run.answers[:2]) for run in (first, second)]
    [said] = verdicts(compare(few))
    assert said.endswith("2 texts are too few to tell them apart.")
    assert differences_drawn(compare([first, second])) is not None
    assert differences_drawn(compare(few)) is None
    row = table_rows(compare(few))[1]
    assert row[HEADS.index("macro-F1, less the first")] == "too few to tell"


def test_runs_that_have_just_begun_get_a_sentence_in_place_of_empty_figures(tmp_path: Path):
    """A curve needs a run of two steps; beside it, a run of one is a dot."""
    begun = [replace(made_run(size, 0, 20), evaluation=None, answers=None, dev=()) for size in (1, 4)]
    first = [replace(run, metrics=run.metrics[:count]) for run, count in zip(begun, (0, 1), strict=True)]
    assert loss_curves(compare(first)) is None
    write_comparison(tmp_path / "begun.html", compare(first))
    page = (tmp_path / "begun.html").read_text()
    assert "No run has two steps yet" in page
    assert "<svg" not in page
    beside = loss_curves(compare([begun[0], first[1]]))
    assert beside is not None
    assert "batch size 4" in beside
    assert beside.count("<use") > (loss_curves(compare(begun)) or "").count("<use")
    assert dev_curves(compare(begun)) is None
