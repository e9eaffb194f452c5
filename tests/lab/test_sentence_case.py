"""Texts in sentence case: one form for every case that a text may be written in."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.tokens import in_sentence_case

TEXTS = st.text(alphabet=string.ascii_letters + string.digits + " .,!?'\"\n-()")


@given(TEXTS)
def test_capitals_and_small_letters_become_the_same_text(text: str) -> None:
    """A text, the same in capitals and the same in small letters are read alike."""
    assert in_sentence_case(text.upper()) == in_sentence_case(text.lower()) == in_sentence_case(text)


@given(TEXTS)
def test_only_the_case_of_letters_changes(text: str) -> None:
    """Nothing is added or lost, and a second time changes nothing."""
    read = in_sentence_case(text)
    assert read.lower() == text.lower()
    assert in_sentence_case(read) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("I CAN'T SLEEP. WHY? NOBODY KNOWS", "I can't sleep. Why? Nobody knows"),
        ("i'm tired and i know it", "I'm tired and I know it"),
        ('"really," she said. "yes."', '"Really," she said. "Yes."'),
        ("one line\nand another", "One line\nAnd another"),
        ("it costs 3.5 euros", "It costs 3.5 euros"),
    ],
)
def test_sentences_begin_with_capitals(text: str, read: str) -> None:
    """Capitals stand where a sentence or a line begins, and in I."""
    assert in_sentence_case(text) == read
