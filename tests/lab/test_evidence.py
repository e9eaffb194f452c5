"""The words of a text that bear a symptom term out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from symptoms.data import Span, evidence, load_dataset, phrases, supported_terms, words_of
from symptoms.taxonomy import symptom_cues, symptom_terms

TERMS = tuple(term for terms in symptom_terms().values() for term in terms)


def words_for(text: str, term: str) -> list[str]:
    return [text[span.start : span.end] for span in evidence(words_of(text), term)]


@pytest.mark.parametrize("term", TERMS)
def test_own_words(term: str) -> None:
    """A text that names a term bears it out."""
    assert evidence(words_of(f"For weeks now: {term}."), term)


def test_a_term_of_another_taxonomy() -> None:
    """A term that no cues were written for is found by its own words, with other endings."""
    assert words_for("My back pains are worse, and my back often is in PAIN.", "back pain") == [
        "back pains",
        "back often is in PAIN",
    ]
    assert evidence(words_of("My back. Pain is everywhere."), "back pain") == ()


def test_cues() -> None:
    """Every term of the taxonomy has cues, written in the documented syntax."""
    assert list(symptom_cues()) == list(TERMS)
    word = r"(?:[a-z0-9']+|(?!(?:[a-z']{13,}))[a-z']{3,}~)"
    cue = re.compile(rf"{word}(?:\|{word})*(?: (?:\* )?{word}(?:\|{word})*)*")
    assert [
        (term, text) for term, cues in symptom_cues().items() for text in cues if not cue.fullmatch(text)
    ] == []
    assert min(len(cues) for cues in symptom_cues().values()) >= 7


def test_bundled_annotations() -> None:
    """Cues bear out half of the symptoms annotated in the bundled dev split, and few of the 140 besides."""
    examples = load_dataset(ROOT / "data" / "dev.jsonl").examples
    found = [supported_terms(example.input, TERMS) for example in examples]
    annotated = [frozenset(example.symptoms or ()) for example in examples]
    borne_out = sum(len(here & named) for here, named in zip(found, annotated, strict=True))
    assert borne_out >= 0.5 * sum(map(len, annotated))
    assert sum(map(len, found)) <= 9 * len(examples)


@pytest.mark.parametrize(
    ("text", "term", "words"),
    [
        ("My HEART was racing.", "racing heart", "HEART was racing"),
        ("I was lying awake till three", "difficulty falling asleep", "lying awake till"),
        ("cant stop crying in the shower", "tearfulness", "crying"),
        ("I put on two stone", "weight gain", "put on two"),
        ("I check the door again and again", "compulsive checking", "check the door"),
        ("A voice keeps calling my name", "hearing voices", "voice"),
        ("Sundays I feel sick before work", "dread of work", "before work"),
    ],
)
def test_everyday_words(text: str, term: str, words: str) -> None:
    """Everyday words for a symptom bear it out, whatever their case, apostrophes and inner words."""
    assert any(words in found for found in words_for(text, term))


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("We live in a flat by the park.", "emotional numbness"),
        ("He has a number of friends.", "emotional numbness"),
        ("I sleep well and eat well.", "nightmares"),
        ("She bought bread and milk.", "panic attacks"),
    ],
)
def test_other_words(text: str, term: str) -> None:
    """Words of another matter do not bear a symptom out."""
    assert evidence(words_of(text), term) == ()


@pytest.mark.parametrize(
    "text", ["No nightmares.", "I've never had nightmares", "I don\u2019t get any nightmares"]
)
def test_negation(text: str) -> None:
    """A symptom that the text denies is not borne out."""
    assert evidence(words_of(text), "nightmares") == ()


@pytest.mark.parametrize("text", ["Can't stop the nightmares", "No, nightmares", "It is not. Nightmares!"])
def test_no_negation(text: str) -> None:
    """A negation of something else does not deny the symptom."""
    assert words_for(text, "nightmares") in (["nightmares"], ["Nightmares"])


@given(st.text(), st.one_of(st.sampled_from(TERMS), st.text()))
def test_any_text(text: str, term: str) -> None:
    """Any text has spans that lie on it, in order and apart, and the same terms are supported."""
    spans = evidence(words_of(text), term)
    bounds = [bound for span in spans for bound in (span.start, span.end)]
    assert bounds == sorted(set(bounds))
    assert all(0 <= bound <= len(text) for bound in bounds)
    assert supported_terms(text, [term]) == (frozenset([term]) if spans else frozenset())


@pytest.mark.parametrize(
    ("text", "found", "shown"),
    [
        ("Then my heart was racing, I think.", "heart", "heart was racing"),
        ("I feel sad all day and then I eat.", "sad all", "sad all day"),
        ("I have to count to eight, always.", "count to", "count to eight"),
        ("I am tired and I cannot go on.", "tired", "tired"),
        ("No. Sad. Nothing else.", "Sad", "Sad"),
        ("They look at me for hours.", "look at me", "look at me"),
        ("I wake up at night in sweat", "wake up at night", "wake up at night"),
    ],
)
def test_evidence_is_shown_as_a_phrase(text: str, found: str, shown: str) -> None:
    """A single word, or one that breaks off, with more of its clause; other evidence as it is."""
    start = text.index(found)
    [span] = phrases(words_of(text), [Span(start, start + len(found))])
    assert text[span.start : span.end] == shown


def test_phrases_that_meet_are_one() -> None:
    """What would be shown twice is shown once."""
    text = "a pounding heart scan"
    spans = [Span(2, 10), Span(11, 16)]
    assert [text[one.start : one.end] for one in phrases(words_of(text), spans)] == ["pounding heart scan"]


@given(st.text(), st.one_of(st.sampled_from(TERMS), st.text()))
def test_phrases_of_any_text(text: str, term: str) -> None:
    """They hold the evidence, in order and apart, and there are none without it."""
    spans = evidence(words_of(text), term)
    shown = phrases(words_of(text), spans)
    bounds = [bound for span in shown for bound in (span.start, span.end)]
    assert bounds == sorted(set(bounds))
    assert all(any(one.start <= span.start and span.end <= one.end for one in shown) for span in spans)
    assert len(shown) <= len(spans)
