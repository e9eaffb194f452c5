"""Pairs of texts composed for this project, alike but for the fact that decides."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from symptoms.taxonomy import EVERYDAY


@dataclass(frozen=True)
class Pair:
    """Two texts and the condition that each describes."""

    id: str
    first: str
    first_condition: str
    second: str
    second_condition: str


@cache
def minimal_pairs() -> tuple[Pair, ...]:
    """Pairs in which one changed fact makes another condition the right one."""
    return tuple(Pair(**json.loads(line)) for line in _lines("minimal_pairs.jsonl"))


@cache
def negations() -> tuple[Pair, ...]:
    """Texts with their negation: what mattered is denied or long past, and life is fine."""
    return tuple(
        Pair(line["id"], line["text"], line["condition"], line["negated"], EVERYDAY)
        for line in map(json.loads, _lines("negations.jsonl"))
    )


def _lines(name: str) -> list[str]:
    return files("symptoms.evaluate.robustness").joinpath(name).read_text(encoding="utf-8").splitlines()
