"""The report's tables of further test sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_report import LABELS, made_evaluation, made_predictions, with_second_test

from symptoms.data import Dataset, Example, Label
from symptoms.evaluate.evaluation_file import AllowedDuplicates, read_evaluation, write_evaluation
from symptoms.evaluate.scoring import score_predictions, score_written
from symptoms.report.pages import difference_text, not_held_out, write_report


@pytest.mark.parametrize("is_main", [True, False], ids=["the test", "the further test"])
def test_a_further_test_has_differences_where_its_own_answers_were_read(tmp_path: Path, is_main: bool):
    """Whether the answers to the other test could be read decides nothing for its table."""
    evaluation = with_second_test(made_evaluation())
    [second] = evaluation.further
    unread = [replace(one, written_condition=None) for one in made_predictions(30, 10)]
    examples = tuple(Example(one.input, Label(one.condition, one.condition), id=one.id) for one in unread)
    scores = score_predictions(Dataset(Path("test.jsonl"), examples, LABELS, "abc"), unread, None, 0)
    if is_main:
        evaluation = replace(evaluation, scores=scores, written=score_written(unread, 0))
    else:
        evaluation = replace(evaluation, further=(replace(second, scores=scores, parse_rate=0.0),))
    page = write_report(tmp_path, evaluation)
    told = difference_text(second.baselines[0].macro_f1_difference, second.n) if is_main else "-"
    for suffix, end in {".html": f">{told}</td></tr>", ".md": f"| {told} |"}.items():
        of_further = page.with_suffix(suffix).read_text().partition("On test-2.jsonl")[2]
        row = next(line for line in of_further.splitlines() if "even" in line)
        assert row.endswith(end)


def test_what_of_a_further_test_was_trained_on_is_told_with_its_name(tmp_path: Path):
    """A file from before this was counted is read as one of which nothing was allowed."""
    evaluation = with_second_test(made_evaluation())
    [second] = evaluation.further
    leaky = replace(evaluation, further=(replace(second, allowed=AllowedDuplicates(1)),))
    assert not_held_out(leaky) == [
        "1 of the 30 texts of test-2.jsonl nearly repeats a text that it was trained on, and was allowed: "
        "the figures are not of held-out texts alone."
    ]
    file = tmp_path / "result.json"
    write_evaluation(file, leaky)
    assert read_evaluation(file) == leaky
    stored = json.loads(file.read_text())
    for one in (stored["details"], *stored["details"]["further"]):
        del one["allowed"]
    file.write_text(json.dumps(stored))
    assert not_held_out(read_evaluation(file)) == []
