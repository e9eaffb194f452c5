"""The words of a text that bear a symptom term out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import evidence, supported_terms
from symptoms.taxonomy import symptom_terms

TERMS = tuple(term for terms in symptom_terms().values() for term in terms)


def words_for(text: str, term: str) -> list[str]:
    return [text[span.start : span.end] for span in evidence(text, term)]


@pytest.mark.parametrize("term", TERMS)
def test_own_words(term: str) -> None:
    """A text that names a term bears it out."""
    assert evidence(f"For weeks now: {term}.", term)


def test_a_term_of_another_taxonomy() -> None:
    """A term that no cues were written for is found by its own words, with other endings."""
    assert words_for("My back pains are worse, and my back often is in PAIN.", "back pain") == [
        "back pains",
        "back often is in PAIN",
    ]
    assert evidence("My back. Pain is everywhere.", "back pain") == ()


@pytest.mark.parametrize(
    "text", ["No nightmares.", "I've never had nightmares", "I don\u2019t get any nightmares"]
)
def test_negation(text: str) -> None:
    """A symptom that the text denies is not borne out."""
    assert evidence(text, "nightmares") == ()


@pytest.mark.parametrize("text", ["Can't stop the nightmares", "No, nightmares", "It is not. Nightmares!"])
def test_no_negation(text: str) -> None:
    """A negation of something else does not deny the symptom."""
    assert words_for(text, "nightmares") in (["nightmares"], ["Nightmares"])


@given(st.text(), st.one_of(st.sampled_from(TERMS), st.text()))
def test_any_text(text: str, term: str) -> None:
    """Any text has spans that lie on it, in order and apart, and the same terms are supported."""
    spans = evidence(text, term)
    bounds = [bound for span in spans for bound in (span.start, span.end)]
    assert bounds == sorted(set(bounds))
    assert all(0 <= bound <= len(text) for bound in bounds)
    assert supported_terms(text, [term]) == (frozenset([term]) if spans else frozenset())
