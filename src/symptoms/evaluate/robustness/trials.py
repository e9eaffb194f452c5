"""The changed texts that a model is asked about."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from symptoms.data import Example
from symptoms.evaluate.robustness.groups import INTRODUCTIONS, introduce, swap_gender_of_others
from symptoms.evaluate.robustness.pairs import Pair, minimal_pairs, negations
from symptoms.evaluate.robustness.perturbations import (
    add_irrelevant_sentence,
    contract,
    expand_contractions,
    lower_case,
    make_typos,
    open_otherwise,
    reorder_sentences,
    retell,
    upper_case,
)
from symptoms.taxonomy import OUT_OF_SCOPE

THIRD_PERSON, NEGATION, MINIMAL_PAIRS = "third person", "negation", "minimal pairs"
GROUPS_PER_TEXT = 2

INVARIANCES: dict[str, Callable[[str, Random], str | None]] = {
    "typos": make_typos,
    "lower case": lambda text, _: lower_case(text),
    "upper case": lambda text, _: upper_case(text),
    "contractions expanded": lambda text, _: expand_contractions(text),
    "contractions made": lambda text, _: contract(text),
    "another opening": open_otherwise,
    "sentence order": reorder_sentences,
    "irrelevant sentence": add_irrelevant_sentence,
    "gender of others": lambda text, _: swap_gender_of_others(text),
}


@dataclass(frozen=True)
class Trial:
    """A text whose answer should stay that of its original (`invariance`), or should not (`change`).

    `original` is the id of the example that was changed, or of the pair that the text belongs to; `wanted` is
    the condition that a text of a pair describes.
    """

    original: str
    capability: str
    kind: Literal["invariance", "change"]
    text: str
    wanted: str | None


def trials(examples: Sequence[Example], seed: int) -> tuple[Trial, ...]:
    """Every change that applies to each example, then both texts of the composed pairs.

    An example's changes depend on its id and the seed alone, not on the other examples.
    """
    return (
        *(trial for example in examples for trial in _of_example(example, seed)),
        *(trial for pair in negations() for trial in _of_pair(pair, NEGATION)),
        *(trial for pair in minimal_pairs() for trial in _of_pair(pair, MINIMAL_PAIRS)),
    )


def _of_example(example: Example, seed: int) -> Iterator[Trial]:
    def random_for(capability: str) -> Random:
        return Random(f"{seed} {capability} {example.id}")

    for capability, change in INVARIANCES.items():
        text = change(example.input, random_for(capability))
        if text is not None:
            yield Trial(example.id, capability, "invariance", text, None)
    for subject, introductions in INTRODUCTIONS.items():
        for introduction in random_for(subject).sample(introductions, GROUPS_PER_TEXT):
            text = introduce(example.input, subject, introduction)
            if text is not None:
                yield Trial(example.id, subject, "invariance", text, None)
    # Of somebody else's everyday life one may be as sure as of one's own.
    if example.condition not in OUT_OF_SCOPE:
        retold = retell(example.input, random_for(THIRD_PERSON))
        yield Trial(example.id, THIRD_PERSON, "change", retold, None)


def _of_pair(pair: Pair, capability: str) -> Iterator[Trial]:
    yield Trial(pair.id, capability, "change", pair.first, pair.first_condition)
    yield Trial(pair.id, capability, "change", pair.second, pair.second_condition)
