"""Texts that stand in training data more than once, told in a sentence before a training."""

from __future__ import annotations

import shlex
from collections import defaultdict

from symptoms.data.checking.duplicates import plain_words
from symptoms.data.example import Dataset, Example
from symptoms.data.files.records import AS_OURS, OPTION, Columns


def repeated_texts(data: Dataset, columns: Columns = AS_OURS) -> str | None:
    """What to say of texts with the very same words as another, and of those with different labels.

    None where every text stands there once. Texts that only nearly repeat each other are left to
    `check_datasets`; the command that names them has the columns' options, where they are not ours.
    """
    alike: defaultdict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in data.examples:
        alike[tuple(plain_words(example.input)) or (example.input,)].append(example)
    repeated = [examples for examples in alike.values() if len(examples) > 1]
    if not repeated:
        return None
    stands = "text stands" if len(repeated) == 1 else "texts stand"
    first, second = repeated[0][:2]
    told = f"{len(repeated):,} {stands} there more than once ({_in_lines(first, second, repeated)})"
    apart = [pair for examples in repeated if (pair := _labelled_apart(examples))]
    if apart:
        one, other = apart[0]
        told += (
            f", {len(apart):,} of them with different labels ({one.condition!r} in {_place(one, other)}, "
            f"{other.condition!r} in {_place(other, one)}), of which a model can learn neither"
        )
    command = shlex.join(["symptoms", "data", "check", str(data.path), *_options(columns)])
    return f"{data.path}: {told}; each counts in training. '{command}' names them."


def _options(columns: Columns) -> list[str]:
    names = {"input": columns.text, "condition": columns.label}
    return [part for ours, theirs in names.items() if theirs != ours for part in (OPTION[ours], theirs)]


def _place(one: Example, beside: Example) -> str:
    """Its line, or its id where both stand on one, as in a file without line breaks."""
    return f"line {one.line}" if one.line != beside.line else one.id


def _in_lines(first: Example, second: Example, repeated: list[list[Example]]) -> str:
    on_one_line = first.line == second.line
    lines = f"{first.id} and {second.id}" if on_one_line else f"lines {first.line} and {second.line}"
    return (
        lines
        if len(repeated) == 1 and len(repeated[0]) == 2
        else f"the first {'' if on_one_line else 'in '}{lines}"
    )


def _labelled_apart(examples: list[Example]) -> tuple[Example, Example] | None:
    """The first two of one text whose labels are known and differ."""
    labelled = [example for example in examples if example.condition]
    for other in labelled[1:]:
        if other.condition != labelled[0].condition:
            return labelled[0], other
    return None
