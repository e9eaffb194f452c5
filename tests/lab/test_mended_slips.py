"""Slips of the keyboard that are put right before a model reads a text."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base_models.resolving import bundled_models
from symptoms.evaluate.robustness.perturbations import make_typos
from symptoms.tokens import FileTokenizer, SlipMender

DATA = Path(__file__).parents[2] / "data"
TOKENIZER = FileTokenizer(next(iter(bundled_models().values())))
WORDS = ("anxious", "struggling", "sleep", "three", "there", "i sleep", "münchen", "coping", "hoping")
MENDER = SlipMender.of(WORDS, TOKENIZER)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("I am sturggling and anxipus.", "I am struggling and anxious."),
        ("Sturggling, ANXIPUS", "Struggling, ANXIOUS"),
        ("I hsven't slept", "I hsven't slept"),
        # Nobody can tell which of two was meant.
        ("thrre", "thrre"),
        # Too short, right as it is, and more than one slip.
        ("slepe sleep sturgglign", "sleep sleep sturgglign"),
        ("", ""),
    ],
)
def test_a_word_one_slip_away_is_read_as_the_word(written: str, read: str):
    """Where a single word of the training set is meant; its capitals stay."""
    assert MENDER.mended(written) == read


@given(st.text())
def test_the_length_and_all_but_words_stay(text: str):
    """Whatever the text, so that places in it stay what they are."""
    mended = MENDER.mended(text)
    assert len(mended) == len(text)
    assert all(old == new or old.isalpha() for old, new in zip(text, mended, strict=True))


def test_most_slips_in_held_out_texts_are_put_right_and_hardly_a_right_word_is_changed():
    """With the words of the training set, on texts that it has not."""
    words = {
        word for text in _texts("train") for word in text.lower().replace(",", " ").replace(".", " ").split()
    }
    mender = SlipMender.of(words, TOKENIZER)
    draw, slips, left, changed, count = Random(0), 0, 0, 0, 0
    for text in _texts("test-2"):
        right = mender.mended(text)
        changed += right != text
        count += 1
        slipped = make_typos(text, draw)
        if slipped is None:
            continue
        slips += _differing(slipped, text)
        left += _differing(mender.mended(slipped), right)
    assert left < 0.25 * slips
    # A tokenizer of a larger vocabulary knows more words, and leaves more of these alone: one in seventy.
    assert changed < 0.06 * count


def _texts(name: str) -> list[str]:
    return [json.loads(line)["input"] for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def _differing(one: str, other: str) -> int:
    return sum(first != second for first, second in zip(one.split(), other.split(), strict=True))
