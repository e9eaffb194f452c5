"""Everyday sentences beside an explicit one do not make the screen less sure of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.safety import Level, screen
from symptoms.safety.passages import passages

EXPLICIT = [
    "I want to kill myself.",
    "I want to die.",
    "I just took 40 pills.",
    "I am going to hang myself tonight.",
    "I have written the goodbye letters and bought the rope.",
    "My husband hits me and I am afraid he will kill me.",
    "The voices tell me to stab my mother.",
    "I am going to shoot my boss tomorrow.",
    "My friend just texted me that she is going to kill herself.",
    "I keep cutting my arms and I can not stop.",
    "I would be better off dead.",
    "Je veux me tuer ce soir.",
    "Ich will nicht mehr leben.",
    "Main marna chahta hoon.",
]
EVERYDAY = [
    "I had lunch with a friend today and it was nice.",
    "The weather was mild, so we went for a walk by the river.",
    "My sister came over on Sunday and we cooked together.",
    "I work in an office and take the bus every day.",
    "We are planning a holiday in July.",
    "Thanks for reading this.",
    "The cat slept on my keyboard again.",
    "I made soup with carrots and leeks.",
    "The new printer at work is finally set up.",
    "My son learned to ride his bike.",
]
around = st.lists(st.sampled_from(EVERYDAY), max_size=4, unique=True)


@pytest.mark.parametrize("text", EXPLICIT)
@given(before=around, after=around, gap=st.sampled_from([" ", "\n", "\n\n", "  "]))
def test_what_is_clear_alone_stays_clear_among_everyday_sentences(
    text: str, before: list[str], after: list[str], gap: str
):
    """Whatever is told before it and after it, up to four sentences each."""
    assert screen(gap.join([*before, text, *after])).level is Level.CLEAR


@given(told=st.lists(st.sampled_from(EVERYDAY), min_size=1, max_size=8))
def test_everyday_sentences_among_themselves_are_never_clear(told: list[str]):
    """Reading them one by one finds no danger in them."""
    assert screen(" ".join(told)).level is not Level.CLEAR


@pytest.mark.parametrize(
    ("text", "excuse"),
    [
        ("I want to kill my baby.", "I would never do it, and it horrifies me."),
        ("I am going to hurt my baby.", "I would never do it, the images horrify me."),
    ],
)
def test_a_sentence_is_read_with_what_the_text_says_about_it(text: str, excuse: str):
    """What would be clear alone is not where the next sentence excuses it."""
    assert screen(text).level is Level.CLEAR
    assert screen(f"{text} {excuse}").level is not Level.CLEAR


def test_a_text_of_one_sentence_has_no_passages():
    """Two have each, three have each and the two pairs; signs that part them do not count."""
    assert list(passages("I am fine.")) == []
    assert list(passages('"I am fine." So are we.')) == ['"I am fine.', "So are we."]
    assert len(list(passages("One day. Then two!\nNow three"))) == 5


def test_a_long_text_takes_little_time_to_part():
    """Of thousands of sentences some at the beginning and the end are read alone."""
    assert len(list(passages("So it is. " * 50_000))) <= 2 * 40
