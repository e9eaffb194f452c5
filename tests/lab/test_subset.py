"""A part of the training data with so many examples of each condition."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from symptoms.data import load_dataset
from symptoms.data.subset import choose_per_condition, part_of
from symptoms.errors import InputError
from symptoms.train import load_training_data
from symptoms.train.request.training_data import subset_of
from training_runs import write_examples, write_experiment

CONDITIONS = ["a", "b", "a", "c", "a", "b", "a", "b", "a"]


def test_each_condition_has_as_many_as_there_are():
    """Counts are equal where there are enough, and the file's order stays."""
    chosen = choose_per_condition(CONDITIONS, 2, seed=0)
    assert Counter(CONDITIONS[place] for place in chosen) == {"a": 2, "b": 2, "c": 1}
    assert chosen == sorted(chosen)


def test_a_larger_part_holds_the_smaller_one_of_its_seed():
    """So more examples are more of the same, and other seeds draw others."""
    parts = [set(choose_per_condition(CONDITIONS, count, seed=4)) for count in (1, 2, 3, 9)]
    assert all(small <= large for small, large in pairwise(parts))
    assert len({tuple(choose_per_condition(CONDITIONS, 2, seed)) for seed in range(10)}) > 1


def test_the_part_is_stated(tmp_path: Path):
    """How it was drawn, from how many, and which conditions have fewer."""
    data = load_training_data(write_examples(tmp_path / "train.jsonl", 10), "train")
    part = subset_of(data, 3, seed=1)
    assert part.subset == {
        "examples_per_condition": 3,
        "seed": 1,
        "num_conditions": 4,
        "num_examples_of_the_split": 10,
        "conditions_with_fewer": {"blue": 2, "grey": 2},
    }
    assert len(part.examples) == 10
    assert "2 of 4 conditions have fewer than 3" in part.notes[-1]
    assert subset_of(data, None, seed=1) is data


def test_a_data_set_is_cut_to_the_part_that_was_trained_on(tmp_path: Path):
    """So that baselines beside a run learn from the very examples it learnt from."""
    path = write_examples(tmp_path / "train.jsonl", 30)
    for seed in range(3):
        trained_on = subset_of(load_training_data(path, "train"), 3, seed)
        part = part_of(load_dataset(path), 3, seed)
        assert [one.input for one in part.examples] == [one.input for one in trained_on.examples]
        assert 0 < len(part.examples) < 30


def test_outputs_without_a_condition_are_refused(tmp_path: Path):
    """There is nothing to draw by, which is told with the line."""
    data = load_training_data(write_experiment(tmp_path / "own.json"), "train")
    with pytest.raises(InputError, match="needs outputs that are assessments"):
        subset_of(data, 1, seed=0)
