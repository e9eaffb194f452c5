"""Texts told a little differently in each epoch."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import load_dataset
from symptoms.evaluate.robustness import perturbations
from symptoms.train import varied_texts
from symptoms.train.varied_texts import varied

TEXT = "I can't sleep and I am tired. My heart races whenever I leave the house. It has been three months."


@given(st.text(), st.integers())
def test_any_text_can_be_told_otherwise(text: str, seed: int) -> None:
    """No text is too odd, and the same seed tells it the same."""
    assert varied(text, Random(seed)) == varied(text, Random(seed))


def test_most_of_what_is_told_stays() -> None:
    """Of 200 tellings of a text most differ from it, and all share much of it with it."""
    told = [varied(TEXT, Random(seed)) for seed in range(200)]
    assert sum(one != TEXT for one in told) > 150
    assert len(set(told)) > 100
    for one in told:
        shared = sum(
            block.size for block in SequenceMatcher(None, TEXT, one, autojunk=False).get_matching_blocks()
        )
        assert shared > 0.4 * len(TEXT)


def test_nothing_that_robustness_is_measured_with_is_trained_on() -> None:
    """The sentences and openings of the test are others."""
    tested = {*perturbations.IRRELEVANT_SENTENCES, *perturbations.TRIED_OPENINGS}
    assert tested.isdisjoint({*varied_texts.EVERYDAY_SENTENCES, *varied_texts.TOLD_OPENINGS})


def test_no_text_becomes_empty() -> None:
    """Whatever is done to a description, there is something left to read."""
    data = load_dataset(Path("data/dev.jsonl"))
    for number, example in enumerate(data.examples):
        assert varied(example.input, Random(number)).strip()
