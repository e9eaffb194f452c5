"""The words of a text that bear a symptom term out."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from symptoms.data import Span, cued_terms, evidence, load_dataset, phrases, placed_words, supported_terms
from symptoms.taxonomy import evidence_cues, symptom_cues, symptom_terms

TERMS = tuple(term for terms in symptom_terms().values() for term in terms)


def words_for(text: str, term: str) -> list[str]:
    return [text[span.start : span.end] for span in evidence(placed_words(text), term)]


@pytest.mark.parametrize("term", TERMS)
def test_own_words(term: str) -> None:
    """A text that names a term bears it out."""
    assert evidence(placed_words(f"For weeks now: {term}."), term)


def test_a_term_of_another_taxonomy() -> None:
    """A term that no cues were written for is found by its own words, with other endings."""
    assert words_for("My back pains are worse, and my back often is in PAIN.", "back pain") == [
        "back pains",
        "back often is in PAIN",
    ]
    assert evidence(placed_words("My back. Pain is everywhere."), "back pain") == ()


def test_cues() -> None:
    """Every term of the taxonomy has cues, written in the documented syntax."""
    assert list(symptom_cues()) == list(evidence_cues()) == list(TERMS)
    word = r"(?:[a-z0-9']+|(?!(?:[a-z']{13,}))[a-z']{3,}~)"
    cue = re.compile(rf"{word}(?:\|{word})*(?: (?:\* )?{word}(?:\|{word})*)*")
    assert [
        (term, text)
        for listed in (symptom_cues(), evidence_cues())
        for term, cues in listed.items()
        for text in cues
        if not cue.fullmatch(text)
    ] == []
    assert min(len(cues) for cues in evidence_cues().values()) >= 7


def test_bundled_annotations() -> None:
    """Cues bear out half of the symptoms annotated in the bundled dev split, and few of the 140 besides."""
    examples = load_dataset(ROOT / "data" / "dev.jsonl").examples
    found = [supported_terms(example.input, TERMS) for example in examples]
    annotated = [frozenset(example.symptoms or ()) for example in examples]
    borne_out = sum(len(here & named) for here, named in zip(found, annotated, strict=True))
    assert borne_out >= 0.5 * sum(map(len, annotated))
    assert sum(map(len, found)) <= 6.5 * len(examples)


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
    assert evidence(placed_words(text), term) == ()


@pytest.mark.parametrize(
    "text", ["No nightmares.", "I've never had nightmares", "I don\u2019t get any nightmares"]
)
def test_negation(text: str) -> None:
    """A symptom that the text denies is not borne out."""
    assert evidence(placed_words(text), "nightmares") == ()


@pytest.mark.parametrize("text", ["Can't stop the nightmares", "No, nightmares", "It is not. Nightmares!"])
def test_no_negation(text: str) -> None:
    """A negation of something else does not deny the symptom."""
    assert words_for(text, "nightmares") in (["nightmares"], ["Nightmares"])


@given(st.text(), st.one_of(st.sampled_from(TERMS), st.text()))
def test_any_text(text: str, term: str) -> None:
    """Any text has spans that lie on it, in order and apart, and the same terms are supported."""
    spans = evidence(placed_words(text), term)
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
    [span] = phrases(placed_words(text), [Span(start, start + len(found))])
    assert text[span.start : span.end] == shown


def test_phrases_that_meet_are_one() -> None:
    """What would be shown twice is shown once."""
    text = "a pounding heart scan"
    spans = [Span(2, 10), Span(11, 16)]
    assert [text[one.start : one.end] for one in phrases(placed_words(text), spans)] == [
        "pounding heart scan"
    ]


@given(st.text(), st.one_of(st.sampled_from(TERMS), st.text()))
def test_phrases_of_any_text(text: str, term: str) -> None:
    """They hold the evidence, in order and apart, and there are none without it."""
    spans = evidence(placed_words(text), term)
    shown = phrases(placed_words(text), spans)
    bounds = [bound for span in shown for bound in (span.start, span.end)]
    assert bounds == sorted(set(bounds))
    assert all(any(one.start <= span.start and span.end <= one.end for one in shown) for span in spans)
    assert len(shown) <= len(spans)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        (
            "We had lunch with a friend at the market, washed our hands and laughed about the wedding.",
            "compulsive washing",
        ),
        ("A friend had lunch with us at the market.", "needing a companion"),
        ("I have learned to smile at strangers as an actor in the theatre.", "masking"),
        ("I had dinner alone and nobody called.", "eating in secret"),
        ("I have panic attacks.", "fear of weight gain"),
        ("I have panic attacks.", "fear of another attack"),
    ],
)
def test_words_that_merely_go_with_a_term(text: str, term: str) -> None:
    """What a reader learns from is not shown as evidence, where the words do not bear the term out."""
    assert evidence(placed_words(text), term) == ()
    assert cued_terms(text, [term])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I am fine, but my sister has panic attacks and hears voices.", []),
        ("I had a quiet day. My older brother gets panic attacks.", []),
        ("I had a quiet day. She gets panic attacks.", []),
        ("My wife says I have panic attacks.", ["panic attacks"]),
        ("I told my mum about the panic attacks.", ["panic attacks"]),
        ("My sister has panic attacks. She is nine.", ["panic attacks"]),
    ],
)
def test_whose_symptom_it_is(text: str, words: list[str]) -> None:
    """What another person has is no evidence of the writer's, unless the writer says nothing of himself."""
    assert words_for(text, "panic attacks") == words


def test_a_child_told_of() -> None:
    """A description of a child by a parent is of the child as a whole."""
    assert words_for("My son is eight and cannot sit still.", "restlessness") == ["cannot sit still"]


def test_a_short_phrase() -> None:
    """Evidence of one word is not shown with a whole sentence."""
    text = "I recieved a diagnosis of ashtma last year."
    [span] = phrases(placed_words(text), evidence(placed_words(text), "preoccupation with illness"))
    assert text[span.start : span.end] == "diagnosis of ashtma"


def test_what_readers_have_learnt_from_stays() -> None:
    """The cues of readers that ship find in the dev split what they found when those were fitted."""
    examples = load_dataset(ROOT / "data" / "dev.jsonl").examples
    found = "\n".join(",".join(sorted(cued_terms(example.input, TERMS))) for example in examples)
    digest = hashlib.sha256(found.encode()).hexdigest()
    assert digest == "d18e6d19621b8e67bb01221ca12f8bef05072702b76c5b63271c9089372ef68c", (
        "change evidence_cues.json, or fit the reader anew"
    )
