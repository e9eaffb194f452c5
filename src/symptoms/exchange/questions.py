"""What an exported classifier is asked, so that its answers can be held against those that it gave here."""

from __future__ import annotations

from typing import Any

from symptoms.data.written_assessment import CONCERN
from symptoms.evaluate.robustness.pairs import minimal_pairs
from symptoms.runs import RunDirectory
from symptoms.tokens import STOP, in_sentence_case, prompt_text

DESCRIPTIONS = 20
"""Of the pairs that differ in one fact, as many first texts, from all over the taxonomy."""


def questions_to(run: RunDirectory) -> dict[str, Any]:
    """Prompts, the labels' lines to rank behind each, the stop, and how Ollama is to make a prompt.

    Raises RunError where the run has no labels.
    """
    pairs = minimal_pairs()
    texts = [pairs[place * len(pairs) // DESCRIPTIONS].first for place in range(DESCRIPTIONS)]
    if run.reads_sentence_case:
        texts = [in_sentence_case(text) for text in texts]
    return {
        "prompts": [prompt_text(text) for text in texts],
        "lines": [f" {CONCERN}{label.text}\n" for label in run.labels()],
        "stop": STOP,
        "template": prompt_text("{{ .Prompt }}"),
    }
