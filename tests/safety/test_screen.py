"""The screen holds under disguise and in company, and takes any text in little time."""

from __future__ import annotations

import random
import re
import time

import pytest
from cases import texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from symptoms.safety import Category, screen
from symptoms.safety.rules_layer import shipped_rules

SIGNS = ["suicide", "suicidal", "kill myself", "I want to die", "unalive", "self harm", "end my life"]
SEPARATORS = [
    ".",
    "-",
    "_",
    "*",
    "/",
    "~",
    " ",
    ". ",
    ", ",
    " - ",
    "\u200b",
    "\u00ad",
    "\u2060",
    "\ufeff",
    "·",
]
LOOK_ALIKES = str.maketrans("aceiops", "\u0430\u0441\u0435\u0456\u043e\u0440\u0455")  # Cyrillic
LEETSPEAK = str.maketrans("aeios", "4310$")


@given(sign=st.sampled_from(SIGNS), separator=st.sampled_from(SEPARATORS), upper=st.booleans())
def test_letters_spelt_out_are_read(sign: str, separator: str, upper: bool):
    """Spaces, punctuation or invisible characters between all letters of a sign hide nothing."""
    word_gap = "  " if separator.strip() != separator or separator == " " else " "
    spelt = word_gap.join(separator.join(word) for word in sign.split())
    assert screen(spelt.upper() if upper else spelt).category is not None


@given(
    word=st.sampled_from(["suicide", "suicidal", "unalive"]),
    cuts=st.sets(st.integers(1, 6), min_size=1, max_size=3),
    separator=st.sampled_from([" ", "-", ".", "\u200b", "*", "_"]),
)
def test_a_word_in_pieces_is_read(word: str, cuts: set[int], separator: str):
    """A word cut anywhere is put together again."""
    pieces = "".join(separator + letter if at in cuts else letter for at, letter in enumerate(word))
    assert screen(f"thinking of {pieces} a lot").category is Category.SUICIDE


@pytest.mark.parametrize("sign", SIGNS)
def test_look_alikes_leetspeak_and_stretching_are_read(sign: str):
    """Cyrillic letters, digits for letters, run-together words and stretched vowels hide nothing."""
    disguises = [
        sign.translate(LOOK_ALIKES),
        re.sub(r"\w{2,}", lambda word: word[0].translate(LEETSPEAK), sign),
        sign.replace(" ", ""),
        sign.rpartition(" ")[0]
        + " "
        + re.sub("[aeiou]", lambda vowel: vowel[0] * 4, sign.rpartition(" ")[2]),
        "".join(chr(ord(letter) + 0xFEE0) if letter != " " else letter for letter in sign),
    ]
    assert [disguise for disguise in disguises if not screen(disguise).crisis] == []


@pytest.mark.parametrize(
    "text", ["sucide", "suicde", "suiside", "suicied", "kil my self", "wanna dieee", "su*cide"]
)
def test_misspellings_are_read(text: str):
    """Common slips and starred letters do not hide a sign."""
    assert screen(text).category is Category.SUICIDE


def test_a_harmless_sentence_beside_it_silences_nothing():
    """A true case is found before and after any harmless sentence, also one that denies or is of the past."""
    draw = random.Random(0)
    harmless = [text for _, text in texts_of("cases_harmless") if text.strip()]
    silenced: list[tuple[str, str]] = []
    for _, true in texts_of("cases_true"):
        for beside in draw.sample(harmless, 3):
            for first, second in ((true, beside), (beside, true)):
                stop = "" if first[-1] in ".!?" else "."
                if not screen(f"{first}{stop} {second}").crisis:
                    silenced.append((first, second))
    assert silenced == []


def test_the_most_urgent_danger_is_named():
    """Of several dangers the screening names the most urgent, wherever it stands."""
    assert screen("My brother is suicidal and I cut myself again.").category is Category.SELF_HARM
    assert screen("I cut myself again. I want to kill myself tonight.").category is Category.SUICIDE


def test_a_worry_about_someone_is_told_apart():
    """Someone else at risk is a category of its own, and someone who died is grief."""
    assert screen("my brother is suicidal").category is Category.SOMEONE_ELSE
    assert shipped_rules().screen("my brother killed himself two years ago and I miss him") is None


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_any_text_is_screened_the_same_each_time(text: str):
    """No string raises, not even lone surrogates, and the same text always screens the same."""
    assert screen(text) == screen(text)


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                *SIGNS,
                "not",
                "never",
                "in the novel",
                "ten years ago",
                ".",
                ",",
                "'s",
                "k",
                "i",
                "*",
                "\ud800",
                "1",
            ]
        ),
        max_size=40,
    )
)
def test_any_mixture_of_rule_words_is_screened(pieces: list[str]):
    """Words of the rules in any order and company raise nothing."""
    assert screen(" ".join(pieces)).crisis in (True, False)


@pytest.mark.parametrize(
    "unit",
    [
        "I feel low and I don't want to go to work, my head hurts. ",
        "I want to ",
        "not suicidal, ",
        "kill myself and he wants to die ",
        "killmyself",
        "k.i.l.l ",
        "k*ll su!c1de ",
        "a",
        "'s",
        "\n ",
        "a\u0301\u0323",
        "in the novel in the film ",
        "ten years ago ",
    ],
)
def test_time_grows_with_the_length_alone(unit: str):
    """A megabyte of anything takes some ten times as long as a tenth of it, and not a hundred times."""
    text = (unit * (1_000_000 // len(unit.encode()) + 1))[:1_000_000]
    tenth = min(seconds_of(text[:100_000]) for _ in range(3))
    assert any(seconds_of(text) < 30 * tenth for _ in range(2))


def seconds_of(text: str) -> float:
    before = time.process_time()
    screen(text)
    return time.process_time() - before
