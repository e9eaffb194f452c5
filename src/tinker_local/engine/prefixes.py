"""Which prompts to read together: those that begin alike share their common beginnings, as a tree does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

SMALL_TREE = 256
"""Prompts that share little are read together up to this many tokens; attention spans all of them."""
LARGE_TREE = 4096
"""And those that share much up to this many, which bounds the memory of their mask."""


@dataclass
class TokenTree:
    """Prompts as a tree of tokens in which no common beginning stands twice.

    `tokens` are listed parents first, and `parents` are places in that list, -1 for first tokens.
    `indices` say which prompts these are, and `paths` where each one's tokens stand, one after another.
    """

    indices: list[int] = field(default_factory=list[int])
    tokens: list[int] = field(default_factory=list[int])
    parents: list[int] = field(default_factory=list[int])
    depths: list[int] = field(default_factory=list[int])
    paths: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def is_chain(self) -> bool:
        """Whether every token but the first follows the one before it, as in a single prompt."""
        return len(self.tokens) == self.depths[-1] + 1

    def grow(self, index: int, prompt: Sequence[int], shared: int) -> None:
        """Add a prompt that agrees with the newest one in its first `shared` tokens."""
        path = self.paths[-1][:shared] if shared else []
        for depth in range(shared, len(prompt)):
            self.parents.append(path[-1] if path else -1)
            path.append(len(self.tokens))
            self.tokens.append(prompt[depth])
            self.depths.append(depth)
        self.indices.append(index)
        self.paths.append(path)

    def ancestry(self) -> npt.NDArray[np.bool_]:
        """Bool [n, n]: which tokens (columns) each token follows, itself included."""
        mask = np.zeros((len(self.tokens), len(self.tokens)), dtype=np.bool_)
        for place, parent in enumerate(self.parents):
            if parent >= 0:
                mask[place] = mask[parent]
            mask[place, place] = True
        return mask


def token_trees(prompts: Sequence[Sequence[int]]) -> list[TokenTree]:
    """Every prompt in one tree; those are in the same one that share at least half of the later one."""
    trees: list[TokenTree] = []
    before: Sequence[int] = ()
    for index in sorted(range(len(prompts)), key=lambda index: tuple(prompts[index])):
        prompt = prompts[index]
        shared = common_length(before, prompt) if trees else 0
        fresh = len(prompt) - shared
        room = LARGE_TREE if shared >= fresh else SMALL_TREE
        if not trees or len(trees[-1].tokens) + fresh > room:
            trees.append(TokenTree())
            shared = 0
        trees[-1].grow(index, prompt, shared)
        before = prompt
    return trees


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts share from the beginning."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
