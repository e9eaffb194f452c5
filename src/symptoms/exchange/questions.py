"""What an exported classifier is asked, so that its answers can be held against those that it gave here."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from symptoms.packaged import packaged
from symptoms.runs import RunDirectory
from symptoms.tokens import STOP, concern_line, in_sentence_case, prompt_text


@cache
def descriptions() -> Mapping[str, str]:
    """A text for each condition of the taxonomy, by its id, written for this and in no data set."""
    return packaged(__package__, "descriptions.json")


def questions_to(run: RunDirectory) -> dict[str, Any]:
    """Prompts, the labels' lines to rank behind each, the stop, and how Ollama is to make a prompt.

    Raises RunError where the run has no labels.
    """
    texts = list(descriptions().values())
    if run.reads_sentence_case:
        texts = [in_sentence_case(text) for text in texts]
    return {
        "prompts": [prompt_text(text) for text in texts],
        "lines": [concern_line(label.text) for label in run.labels()],
        "stop": STOP,
        "template": prompt_text("{{ .Prompt }}"),
    }
