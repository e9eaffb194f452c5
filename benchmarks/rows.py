"""The token ids that are trained on: random, since no step's time depends on them."""

from __future__ import annotations

import random


def random_rows(vocabulary: int, count: int, length: int, seed: int = 0) -> list[list[int]]:
    """Rows [count][length + 1] of ids: a row's inputs are all but its last, its targets all but its first."""
    source = random.Random(seed)
    return [[source.randrange(vocabulary) for _ in range(length + 1)] for _ in range(count)]
