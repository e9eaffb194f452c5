"""A part of a data set: one of its splits, or the same number of examples for each condition."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from symptoms.data.example import Dataset
from symptoms.errors import InputError


def of_split(dataset: Dataset, split: Literal["train", "dev", "test"]) -> Dataset:
    """The examples of one split where a file has several, and the data set as it is where it has one.

    Raises InputError where the file has several and not this one.
    """
    if len({example.split for example in dataset.examples}) == 1:
        return dataset
    chosen = tuple(example for example in dataset.examples if example.split == split)
    if not chosen:
        raise InputError(
            f"{dataset.path} has several splits and none is {split!r}; name one so, or split it."
        )
    return replace(dataset, examples=chosen)


def choose_per_condition(conditions: Sequence[str], count: int, seed: int) -> list[int]:
    """The places of `count` examples of each condition, or of all where it has fewer, in their order.

    With one seed a larger count only adds to what a smaller one chooses.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, condition in enumerate(conditions):
        places[condition].append(place)
    chosen: list[int] = []
    for condition, own in places.items():
        random.Random(f"{seed} {condition}").shuffle(own)
        chosen += own[:count]
    return sorted(chosen)


def part_of(dataset: Dataset, count: int, seed: int) -> Dataset:
    """The part of a data set that training with `examples_per_condition` of `count` draws."""
    named = [one.label.text if one.label else "" for one in dataset.examples]
    places = choose_per_condition(named, count, seed)
    return replace(dataset, examples=tuple(dataset.examples[place] for place in places))
