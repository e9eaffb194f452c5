"""A text in a language that a model has not learnt from is known as such, a short one too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from symptoms.safety import language_notice, language_other_than, languages_of, screen

ENGLISH = frozenset({"English"})
DATA = Path(__file__).parents[2] / "data"


def test_one_text_taken_for_another_language_teaches_none() -> None:
    """Of few texts one that looks Italian makes no model of Italian; three do, and so does a file of two."""
    english = ["The parcel never came and nobody answers the telephone."] * 45
    italian = "Non riesco a dormire da settimane e sono molto stanco"
    assert languages_of([*english, italian]) == {"English"}
    assert languages_of([*english, italian, italian, italian]) == {"English", "Italian"}
    assert languages_of([italian, italian]) == {"Italian"}
    assert languages_of([]) == {"English"}


def phrases(texts: list[str]) -> list[str]:
    """The parts between punctuation that have two to six words."""
    parts = [part for text in texts for part in re.split(r"(?<=[.!?,;])\s+", text)]
    return [part for part in parts if 2 <= len(part.split()) <= 6]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("No puedo dormir", "Spanish"),
        ("Estoy triste", "Spanish"),
        ("No consigo dormir desde hace semanas", "Spanish"),
        ("Je ne dors plus", "French"),
        ("ich kann nicht schlafen", "German"),
        ("nao consigo dormir", "Portuguese"),
        ("non riesco a dormire", "Italian"),
        ("mujhe neend nahi aati", "Hindi in Latin letters"),
        ("잠을 못 자요", "Korean"),
        ("chcę umrzeć", "Polish"),
        ("ik wil dood", "Dutch"),
        ("nataka kufa", "Swahili"),
        ("vull morir", "Catalan"),
    ],
)
def test_a_few_words_in_another_language_are_known_as_that_language(text: str, name: str) -> None:
    found = language_other_than(text, ENGLISH)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", ["cant slep", "ok", "lol wtf", "zzzz 77 ///// hjk", "brb zzz", ""])
def test_slips_slang_and_signs_are_taken_for_no_other_language(text: str) -> None:
    assert language_other_than(text, ENGLISH) is None


def test_a_text_in_a_language_that_was_learnt_from_is_in_no_other() -> None:
    assert language_other_than("ich kann nicht schlafen", ENGLISH | {"German"}) is None


def test_of_short_english_phrases_one_in_two_hundred_at_most_is_taken_for_another_language() -> None:
    rows = [
        json.loads(line)
        for name in ("dev", "test", "test-2")
        for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    short = phrases([row["input"] for row in rows])
    assert len(short) > 2000
    assert sum(language_other_than(phrase, ENGLISH) is not None for phrase in short) <= len(short) / 200


def test_of_short_phrases_in_six_languages_three_in_five_are_known() -> None:
    lines = (DATA / "crisis" / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    short = phrases([row["input"] for row in rows if row["language"] != "en"])
    assert sum(language_other_than(phrase, ENGLISH) is not None for phrase in short) >= 0.6 * len(short)


@pytest.mark.parametrize("text", ["chcę umrzeć", "jag vill dö", "aku ingin mati", "ölmek istiyorum"])
def test_a_few_words_that_the_screen_does_not_read_get_its_notice(text: str) -> None:
    found = screen(text)
    assert not found.language.covered
    assert "which the crisis screen does not read" in language_notice(found, "GB")
    assert "does not read" in language_notice(found, "GB", language_other_than(text, ENGLISH))


@pytest.mark.parametrize("text", ["i w a n t t o d i e", "I n e e d h e l p", "wnana die"])
def test_letters_apart_and_a_word_of_two_languages_are_english(text: str) -> None:
    assert screen(text).language.name == "English"
    assert language_other_than(text, ENGLISH) is None
