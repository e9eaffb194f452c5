"""Which datums of a request are computed together, so that a pass stays within its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ACTIVATIONS = 256 * 2**20
"""Bytes for what a micro-batch keeps for its backward pass."""
MOST_TOKENS = 4096
"""And the tokens from which on more of them are not computed any faster."""


@dataclass(frozen=True)
class MicroBatch:
    """Datums by index, the longest first. `fits`: whether all may be kept that the backward pass needs."""

    indices: tuple[int, ...]
    fits: bool


def micro_batches(lengths: Sequence[int], bytes_per_token: int) -> list[MicroBatch]:
    """All datums, in groups of about the same number of tokens that fit into the memory.

    A single datum that does not fit is a group of its own, whose blocks are computed a second time.
    """
    room = min(MOST_TOKENS, ACTIVATIONS // bytes_per_token)
    total = sum(lengths)
    # As few as can be, and these of like size, since small ones are slower for each token.
    number = max(1, -(-total // max(room, 1)))
    wanted = min(room, -(-total // number) + max(lengths, default=0) // 2)
    groups: list[list[int]] = []
    filled = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if groups and filled + lengths[index] <= wanted:
            groups[-1].append(index)
            filled += lengths[index]
        else:
            groups.append([index])
            filled = lengths[index]
    return [
        MicroBatch(tuple(group), sum(lengths[index] for index in group) * bytes_per_token <= ACTIVATIONS)
        for group in groups
    ]
