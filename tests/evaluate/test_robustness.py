"""Robustness: each perturbation, the trials made of them, the pairs written by hand, and the table of failures."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import LabelledExample, labels_of_taxonomy
from symptoms.evaluate.robustness import FailedTrial, FailureRow, Trial, failure_table, trials
from symptoms.evaluate.robustness.groups import INTRODUCTIONS, introduce, swap_gender_of_others
from symptoms.evaluate.robustness.pairs import minimal_pairs, negations
from symptoms.evaluate.robustness.perturbations import (
    IRRELEVANT_SENTENCES,
    OPENINGS,
    add_irrelevant_sentence,
    contract,
    expand_contractions,
    make_typos,
    open_otherwise,
    reorder_sentences,
    retell,
    sentences,
)
from symptoms.evaluate.robustness.trials import INVARIANCES

TEXT = "My sleep is poor. I don't eat much. We're worried about it. Nothing I've tried helps."
IDS = [label.id for label in labels_of_taxonomy()]
DATA = Path(__file__).parents[2] / "data"


def example(text: str, condition: str = "insomnia", identifier: str = "one") -> LabelledExample:
    return LabelledExample(identifier, text, condition, None, None, None, 1)


def row_of(rows: tuple[FailureRow, ...], capability: str) -> FailureRow:
    return next(row for row in rows if row.capability == capability)


@pytest.mark.parametrize("seed", range(20))
def test_a_typo_is_one_or_two_slips_in_long_words(seed: int):
    """No more than four letters differ, the first letters and the short words stay."""
    changed = make_typos("I cannot sleep through the night", Random(seed))
    assert changed is not None
    differing = [a != b for a, b in zip("I cannot sleep through the night", changed, strict=True)]
    assert 1 <= sum(differing) <= 4
    assert [word[0] for word in changed.split()] == list("Icsttn")
    assert (changed.split()[0], changed.split()[4]) == ("I", "the")


def test_short_words_get_no_typos():
    """Where a slip would make another word there is none."""
    assert make_typos("I am so low now", Random(0)) is None


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("I'm fine, I can't complain", "I am fine, I cannot complain"),
        ("We’ve tried, it won't help, and I don’t care", "We have tried, it will not help, and I do not care"),
        ("Don't you think? It's been long, he'd say", None),
    ],
)
def test_contractions_are_expanded(text: str, expanded: str | None):
    """With either apostrophe, but for turned questions and for what could mean two things."""
    assert expand_contractions(text) == expanded


@pytest.mark.parametrize(
    ("text", "contracted"),
    [
        ("I am fine, I cannot complain", "I'm fine, I can't complain"),
        ("It will not help. We have never said more than we are.", "It won't help. We've never said more than we are."),
        ("They have a dog", None),
    ],
)
def test_contractions_are_made(text: str, contracted: str | None):
    """Only where a word follows, and not of `have` as possession."""
    assert contract(text) == contracted


def test_an_opening_leaves_names_large():
    """A common first word is written small after it, any other is not."""
    assert open_otherwise("My dog ran", Random(0)).endswith("my dog ran")
    assert open_otherwise("Marek ran", Random(0)).endswith("Marek ran")
    assert open_otherwise("I ran", Random(0)).startswith(OPENINGS)


def test_sentences_keep_titles_whole():
    """`Dr.` ends no sentence."""
    assert sentences("I saw Dr. Lee. She was kind! Why?") == ["I saw Dr. Lee.", "She was kind!", "Why?"]


def test_only_the_sentences_after_the_first_change_places():
    """The same sentences, the first in its place."""
    changed = reorder_sentences(TEXT, Random(1))
    assert changed is not None
    assert changed != TEXT
    assert sorted(sentences(changed)) == sorted(sentences(TEXT))
    assert sentences(changed)[0] == "My sleep is poor."


@pytest.mark.parametrize("text", ["One. Two.", "I lost him. Then I drank. I am alone.", "Low. Low. Low."])
def test_some_sentences_keep_their_order(text: str):
    """Too few, one that leans on the one before, or all alike."""
    assert reorder_sentences(text, Random(0)) is None


def test_an_irrelevant_sentence_comes_last():
    """The text itself stays as it is."""
    changed = add_irrelevant_sentence(TEXT, Random(0))
    assert changed.startswith(TEXT)
    assert changed.endswith(IRRELEVANT_SENTENCES)


def test_a_retold_text_is_quoted():
    """Braces in a text are no placeholders."""
    assert '"I {am} low"' in retell("I {am} low", Random(0))
