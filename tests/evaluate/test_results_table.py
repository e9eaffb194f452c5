"""The table of results: which runs a row is a mean of, and which baselines stand beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_report import made_evaluation, with_second_test, with_subject

from conftest import ROOT
from symptoms.errors import InputError
from symptoms.evaluate.evaluation_file import read_evaluation, summary_of
from symptoms.evaluate.fitting.fitted_on_dev import MODEL_ALONE
from symptoms.report.results_table import BEGIN, END, replace_table, results_table


def test_a_result_from_before_further_tests_can_still_be_read():
    """The stored results of this repository are of one test set, and make a table with ours."""
    stored = read_evaluation(ROOT / "results" / "large-seed0.json")
    assert stored.further == ()
    assert stored.written.symptoms is not None
    assert summary_of(stored)["symptom_micro_f1"] == stored.written.symptoms.micro_f1
    assert "test-2" not in results_table([stored])


def test_the_table_has_a_column_for_a_second_test():
    """Means over the seeds that have it, of baselines likewise, and nothing where a result lacks it."""
    evaluations = [
        with_second_test(made_evaluation(30, 10, 0), 20),
        with_second_test(made_evaluation(30, 10, 1), 30),
        replace(made_evaluation(20, 20, 0, 90), baselines=()),
    ]
    table = results_table(evaluations).splitlines()
    headings = [cell.strip() for cell in table[0].split("|")]
    column = headings.index("macro-F1, test-2")
    cells = {
        (row.split("|")[1].strip(), row.split("|")[2].strip()): row.split("|") for row in table if "|" in row
    }
    means = [evaluation.further[0].scores.macro_f1.value for evaluation in evaluations[:2]]
    ours = cells["**base, fine-tuned** (local)", "900 examples"][column]
    assert ours.strip() == f"{np.mean(means):.2f} ({min(means):.2f} to {max(means):.2f})"
    even = [evaluation.further[0].baselines[0].scores.macro_f1.value for evaluation in evaluations[:2]]
    assert (
        cells["even", "900 examples"][column].strip()
        == f"{np.mean(even):.2f} ({min(even):.2f} to {max(even):.2f})"
    )
    assert cells["**base, fine-tuned** (local)", "90 examples"][column].strip() == ""
    assert "40 of test.jsonl and 40 of test-2.jsonl" in table[-2]


def test_each_training_set_has_its_own_baselines_in_the_table():
    """A bag of words that learnt from more examples stands beside the one that learnt from fewer."""
    better = replace(made_evaluation().baselines[0], scores=made_evaluation(35, 5).scores)
    larger = replace(made_evaluation(trained_on=2696), baselines=(better,))
    table = results_table([made_evaluation(seed=0), made_evaluation(seed=1), larger]).splitlines()
    rows = [line.split("|")[1:3] for line in table if line.startswith("| even")]
    assert rows == [[" even ", " 2,696 examples "], [" even ", " 900 examples "]]
    sizes = [line.split("|")[2].strip() for line in table[2:6]]
    assert sizes == ["2,696 examples", "2,696 examples", "900 examples", "900 examples"]


def test_a_baseline_that_is_the_same_whatever_it_learnt_from_has_one_row():
    table = results_table([made_evaluation(seed=0), made_evaluation(trained_on=2696)])
    assert [line.split("|")[2] for line in table.splitlines() if line.startswith("| even")] == ["  "]


def test_baselines_on_what_seeds_drew_are_averaged():
    """With few examples each seed has others, and so has a bag of words that is held against it."""
    drawn = [
        replace(
            made_evaluation(seed=seed),
            baselines=(
                replace(made_evaluation().baselines[0], scores=made_evaluation(right, 40 - right).scores),
            ),
        )
        for seed, right in enumerate((10, 30))
    ]
    values = [one.baselines[0].scores.macro_f1.value for one in drawn]
    expected = f"| even | 900 examples |  | {np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f}) |"
    assert expected in results_table(drawn)


def test_seeds_share_a_row_with_mean_and_range():
    """Two runs on as many examples are one row; another size is another row."""
    table = results_table(
        [made_evaluation(30, 10, 0), made_evaluation(40, 0, 1), made_evaluation(20, 20, 0, 90)]
    )
    rows = [line for line in table.splitlines() if line.startswith("| **base")]
    assert len(rows) == 2
    assert "| 900 examples | 2 |" in rows[0]
    assert " to 1.00)" in rows[0]


def test_runs_of_different_settings_are_not_averaged_as_seeds():
    """Each setting has a row over its own seeds, named by what differs; so has the language model alone."""
    alone = replace(made_evaluation().baselines[0], name=MODEL_ALONE)
    table = results_table(
        [
            replace(
                with_subject(made_evaluation(), f"{epochs}-{seed}", epochs=epochs, batch_size=8, seed=seed),
                baselines=(alone,),
            )
            for epochs in (3, 6)
            for seed in (0, 1)
        ]
    )
    for epochs in (3, 6):
        assert f"| **base, fine-tuned, epochs {epochs}** (local) | 900 examples | 2 |" in table
        assert f"| base, fine-tuned, {MODEL_ALONE}, epochs {epochs} | 900 examples |" in table
    assert table.count("fine-tuned") == 4


@pytest.mark.parametrize("settings", [{"seed": 0}, {}], ids=["one seed", "no seed known"])
def test_runs_that_are_not_of_different_seeds_have_rows_of_their_own(settings: dict[str, object]):
    """They are told apart by their names, and no mean is made of them."""
    results = [
        with_subject(made_evaluation(right), name, **settings) for name, right in (("one", 30), ("two", 20))
    ]
    table = results_table(results)
    for name in ("one", "two"):
        assert f"| **base, fine-tuned, {name}** (local) | 900 examples | 1 |" in table


def test_baselines_come_from_the_result_that_has_them():
    """Results without baselines, as a sweep writes them, leave those of another one in the table."""
    bare = replace(made_evaluation(trained_on=900), baselines=())
    assert "| even |" in results_table([bare, made_evaluation(seed=1, trained_on=900)])
    assert "| even |" not in results_table([bare])


def test_results_of_different_tests_are_not_compared():
    """Their figures would not be of the same texts."""
    one = made_evaluation()
    with pytest.raises(InputError, match="different test sets"):
        results_table([one, replace(one, test=replace(one.test, sha256="other"))])


def test_a_table_replaces_what_stands_between_the_markers(tmp_path: Path):
    """What is before and after stays, and a second time changes nothing."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        replace_table(readme, "new")
        assert readme.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    plain = tmp_path / "plain.md"
    plain.write_text("nothing")
    with pytest.raises(InputError, match="lacks the lines"):
        replace_table(plain, "new")
