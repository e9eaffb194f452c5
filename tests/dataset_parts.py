"""Parts of the data sets in data/ for tests that need few labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from symptoms.data import Dataset, load_dataset


def part_with(labels: Sequence[str], path: str) -> Dataset:
    """The examples of these labels, which are the only ones there are."""
    whole = load_dataset(Path(path))
    by_id = {label.id: label for label in whole.labels}
    examples = tuple(one for one in whole.examples if one.condition in labels)
    return replace(whole, labels=tuple(by_id[one] for one in labels), examples=examples)
