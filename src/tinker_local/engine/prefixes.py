"""Which prompts to read together: those that begin alike share the work of their common beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WORTH_SHARING = 8
"""A common beginning shorter than this is not worth a pass of its own."""


@dataclass(frozen=True)
class Group:
    """Indices of prompts that agree in their first `shared` tokens."""

    shared: int
    indices: tuple[int, ...]


def group_by_prefix(prompts: Sequence[Sequence[int]]) -> list[Group]:
    """Groups in which at least half of the shorter prompt is shared; the others make one group with none.

    At least one token of every prompt is left over, since its state is what generation starts from.
    """
    groups: list[Group] = []
    alone: list[int] = []
    ordered = sorted(range(len(prompts)), key=lambda index: tuple(prompts[index]))
    position = 0
    while position < len(ordered):
        members = [ordered[position]]
        shared = len(prompts[members[0]]) - 1
        for candidate in ordered[position + 1 :]:
            common = min(
                shared, common_length(prompts[members[0]], prompts[candidate]), len(prompts[candidate]) - 1
            )
            if common < max(WORTH_SHARING, min(shared, len(prompts[candidate]) - 1) / 2):
                break
            members.append(candidate)
            shared = common
        position += len(members)
        if len(members) == 1:
            alone += members
        else:
            groups.append(Group(shared, tuple(members)))
    if alone:
        groups.append(Group(0, tuple(alone)))
    return groups


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts share from the beginning."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
