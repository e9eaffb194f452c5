"""Misspelt words are read as the words that symptoms are known by, and shown as they were written."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.classifier import Speller
from symptoms.classifier.composing import Chooser
from symptoms.data import Span, labels_of_taxonomy, supported_terms
from symptoms.taxonomy import symptom_terms

DATA = Path(__file__).parents[2] / "data"
TERMS = tuple(term for terms in symptom_terms().values() for term in terms)
SPELLER = Speller.of(TERMS)
SLIPS = 6
MISSPELT = "I cant slep, evrything is hopless"


def _texts() -> list[str]:
    return [json.loads(row)["input"] for row in (DATA / "dev.jsonl").read_text(encoding="utf-8").splitlines()]


def _misspelt(text: str, draw: random.Random) -> str:
    """The text with a letter twice, one too many, one too few or two exchanged in some of its words."""
    words = list(re.finditer(r"(?<!['\u2019])\b[A-Za-z]{4,}\b(?!['\u2019])", text))
    for found in sorted(draw.sample(words, min(SLIPS, len(words))), key=lambda word: -word.start()):
        word = found.group()
        at = draw.randrange(1, len(word) - 1)
        slip = draw.choice(
            [word[at] * 2 + word[at + 1], draw.choice("aeiout") + word[at : at + 2], word[at + 1],
             word[at + 1] + word[at]]
        )  # fmt: skip
        text = text[: found.start()] + word[:at] + slip + word[at + 2 :] + text[found.end() :]
    return text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (MISSPELT, "I cant sleep, everything is hopeless"),
        ("Depresed, axious, panick atacks", "depressed, anxious, panic attacks"),
        ("no apetite, cant concetrate", "no appetite, cant concentrate"),
        ("woried about raceing thoughts", "worried about racing thoughts"),
        # Right as it is, a plural, as near to another common word, or no word that a symptom is known by.
        ("I sleep, my prams, hart, a pencel", "I sleep, my prams, hart, a pencel"),
        # No English.
        ("no puedo dormir, me sient muy cansada y sola por las noches", None),
    ],
)
def test_a_misspelt_word_is_read_as_the_one_that_was_meant(written: str, meant: str | None):
    """Where a symptom is known by it; all else stays, and so does a text in another language."""
    assert SPELLER.spelt(written).text == (written if meant is None else meant)


def test_words_that_were_learned_are_right_and_are_meant():
    """What the training set has is no slip, and others are read as it."""
    assert SPELLER.spelt("my carer").text == "my career"
    learned = Speller.of(TERMS, ["carer", "kitchen"])
    assert learned.spelt("my carer, the ktichen").text == "my carer, the kitchen"


def test_evidence_is_shown_as_it_was_written():
    """Symptoms of misspelt words stand in the assessment, with these words and their places."""
    labels = labels_of_taxonomy()
    chooser = Chooser(labels)
    choice = chooser.choose(np.zeros(len(labels)))
    named = ("hopelessness", "difficulty falling asleep", "nightmares")
    text = f"Well. {MISSPELT}, truly hopless."
    found = chooser.compose(text, choice, named, None, SPELLER.spelt(text))
    shown = {one.symptom: [place.text for place in one.evidence] for one in found.key_symptoms}
    assert shown == {
        "hopelessness": ["hopless", "truly hopless"],
        "difficulty falling asleep": ["cant slep"],
    }
    assert all(
        text[place.start : place.end] == place.text for one in found.key_symptoms for place in one.evidence
    )


@given(st.lists(st.sampled_from(["slep", "evrything", "a", "hopless", "\u00e9t\u00e9", ". ", "\n"])))
def test_every_place_has_its_place_in_what_was_written(parts: list[str]):
    """Words that were right are found again letter by letter, mended ones whole, in order."""
    written = " ".join(parts)
    spelt = SPELLER.spelt(written)
    for one in re.finditer(r"\w+", spelt.text):
        place = spelt.as_written(Span(one.start(), one.end()))
        word = written[place.start : place.end]
        assert word in parts
        assert SPELLER.spelt(word).text == one.group()
    whole = spelt.as_written(Span(0, len(spelt.text)))
    assert (whole.start, whole.end) == (0, len(written))


def test_texts_as_they_were_written_keep_their_symptoms():
    """Of all terms that words of the dev texts bear out, at most one in a hundred comes or goes."""
    before = [supported_terms(text, TERMS) for text in _texts()]
    after = [supported_terms(SPELLER.spelt(text).text, TERMS) for text in _texts()]
    changed = sum(len(old ^ new) for old, new in zip(before, after, strict=True))
    assert changed <= sum(map(len, before)) / 100


def test_most_symptoms_that_slips_hide_are_found_again():
    """Of the terms that the dev texts lose by slips in six words, two thirds come back."""
    draw = random.Random(0)
    lost = left = 0
    for text in _texts():
        slipped = _misspelt(text, draw)
        whole = supported_terms(text, TERMS)
        lost += len(whole - supported_terms(slipped, TERMS))
        left += len(whole - supported_terms(SPELLER.spelt(slipped).text, TERMS))
    assert lost > 100
    assert left < lost / 3
