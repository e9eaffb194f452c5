"""The words of a text that bear a symptom term out."""

from symptoms.data.evidence.cues import cue_forms, cued_terms, evidence, own_words, supported_terms
from symptoms.data.evidence.placed_words import Span, TextWords, placed_words

__all__ = [
    "Span",
    "TextWords",
    "cue_forms",
    "cued_terms",
    "evidence",
    "own_words",
    "supported_terms",
    "placed_words",
]
