"""Misspelt words are read by the learned layer as what was meant, so that slips change little."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import pytest

from symptoms.data.misspelling.vocabulary import Vocabulary
from symptoms.safety import learned_scores, screen
from symptoms.safety.learned.features import features_of
from symptoms.safety.learned.weights import scores_of, shipped_weights

DATA = Path(__file__).parents[2] / "data"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ROUNDS = 4


def _slip(word: str, draw: random.Random) -> str:
    """The word with a letter twice, one more or one less, never the first."""
    at = draw.randrange(1, len(word))
    return word[:at] + draw.choice([word[at] * 2, draw.choice(LETTERS) + word[at], ""]) + word[at + 1 :]


def _misspelt(text: str, draw: random.Random) -> str:
    """The text with slips in two of its words of five letters or more."""
    words = list(re.finditer(r"[^\W\d_]{5,}", text))
    for word in sorted(draw.sample(words, min(2, len(words))), key=lambda word: -word.start()):
        text = text[: word.start()] + _slip(word.group(), draw) + text[word.end() :]
    return text


def _shares(texts: list[str]) -> tuple[float, float]:
    """Shares of the misspelt texts that are alarmed on and were not, and that are not and were."""
    raised = fallen = 0
    spelt = [screen(text).crisis for text in texts]
    for number in range(ROUNDS):
        draw = random.Random(number)
        for text, before in zip(texts, spelt, strict=True):
            after = screen(_misspelt(text, draw)).crisis
            raised += after and not before
            fallen += before and not after
    return raised / len(texts) / ROUNDS, fallen / len(texts) / ROUNDS


def _english(crisis: bool) -> list[str]:
    """The English texts of data/crisis that are held out."""
    rows = [
        json.loads(row)
        for file in sorted((DATA / "crisis").glob("*.jsonl"))
        for row in file.read_text(encoding="utf-8").splitlines()
    ]
    return [
        row["input"]
        for row in rows
        if row["split"] == "held-out" and row["crisis"] is crisis and row["language"] == "en"
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("evrything", "everything"),
        ("recieve", "receive"),
        ("sombody", "somebody"),
        ("tonigth", "tonight"),
        ("drown", "drown"),
        ("becuase", "because"),
        ("anxiuos", "anxious"),
        ("seperate", "separate"),
    ],
)
def test_a_misspelt_word_is_read_as_the_only_common_one_that_is_near(written: str, meant: str):
    """A letter less, two exchanged, another one; where several are as near, or it is known, it is left."""
    assert shipped_weights().vocabulary.mended([written]) == [meant]


def test_other_languages_are_left_as_they_are_written():
    """The few texts in them do not tell a slip from a word that is merely rare."""
    spelt = "no puedo dormir, estoy muy cansada y me siento sola, comento todo con mi pareja"
    vocabulary = shipped_weights().vocabulary
    assert vocabulary.mended(["comento", "siento"]) != ["comento", "siento"]
    assert learned_scores(spelt) == scores_of(features_of(spelt, None, None), shipped_weights())


def test_a_vocabulary_is_written_and_read_whole():
    """Words and how often they were counted, in powers of two; words of other languages as seen once."""
    made = Vocabulary.counted(["again"] * 9 + ["hello", "#2"], ["sola", "sola", "again"])
    assert made.frequency == {"again": 3, "hello": 0, "sola": 0}
    assert Vocabulary.from_text(made.to_text()) == made


def test_slips_in_two_words_rarely_raise_the_calm_line_in_symptom_descriptions():
    """On at most 1.5% of them, where without mending it is 3%; as rarely they take it away."""
    rows = (DATA / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    raised, fallen = _shares([json.loads(row)["input"] for row in rows])
    assert raised <= 0.015
    assert fallen <= 0.02


def test_slips_in_two_words_rarely_hide_danger():
    """At most 5% of the held-out English texts that are found, where without mending it is 8%."""
    _, fallen = _shares(_english(crisis=True))
    assert fallen <= 0.05


def test_slips_rarely_raise_it_on_harmless_texts_that_look_like_danger():
    """On at most 2% of the held-out English ones, where without mending it is more."""
    raised, _ = _shares(_english(crisis=False))
    assert raised <= 0.02


def test_a_long_text_of_unknown_words_takes_little_time():
    """Four thousand signs of them take no more than ten times the five milliseconds of any text."""
    draw = random.Random(1)
    unknown = (f"{''.join(draw.choices(LETTERS, k=9))} and the" for _ in range(300))
    text = " ".join(unknown)
    screen(text)
    start = time.thread_time()
    screen(text)
    assert time.thread_time() - start < 0.05
