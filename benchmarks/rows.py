"""The token ids that are trained on: random, since no step's time depends on them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sized


def random_rows(vocabulary: int, count: int, length: int, seed: int = 0) -> list[list[int]]:
    """Rows [count][length + 1] of ids: a row's inputs are all but its last, its targets all but its first."""
    source = random.Random(seed)
    return [[source.randrange(vocabulary) for _ in range(length + 1)] for _ in range(count)]


def check_all_are_trained(rows: Iterable[Sized], count: int, length: int) -> None:
    """Raises ValueError unless a peer kept `count` rows of `length` ids each.

    TRL 1.16.0 cuts rows at 1,024 ids where nobody tells it otherwise and drops those of which nothing is left
    to train on, both without a word: its steps would then be compared with more work than they did.
    """
    kept = [len(row) for row in rows]
    if kept != [length] * count:
        raise ValueError(
            f"The peer trains {len(kept)} rows of {sorted(set(kept))} ids, not {count} of {length}."
        )
