"""The words of a text that bear a symptom term out."""

from symptoms.data.evidence.cues import cue_forms, cued_terms, evidence, own_words, supported_terms
from symptoms.data.evidence.reading import Span, TextWords, words_of

__all__ = [
    "Span",
    "TextWords",
    "cue_forms",
    "cued_terms",
    "evidence",
    "own_words",
    "supported_terms",
    "words_of",
]
