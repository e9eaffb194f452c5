"""Speculation on how a sequence goes on, so that several tokens can be computed at the price of one.

A single sequence leaves the processor waiting for memory: the weights are read once for every token, and four
tokens take less than twice as long as one. So a few tokens are guessed, computed together, and kept as far as
the model chooses the same ones: speculative decoding (Leviathan et al. 2023, arXiv:2211.17192), with guesses
from what stood there before (prompt lookup decoding, Saxena 2023). What is chosen is what it would be one by
one, to the last bit, since a row's numbers do not depend on the rows beside it
(`kv_cache/paged_attention.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

MOST_SPECULATED = 7
"""Tokens that are speculated on at once; from eight on, the processor has more to do than to wait."""
CONTEXT_LENGTHS = (3, 2, 1)
"""The last three tokens are looked up where they stood before, else the last two, else the last alone."""
FEWEST = 1
"""As many are speculated on after one that was wrong, and then only behind the longest context: two rows take
a fifth longer than one, three a third."""
REMEMBERED = 20_000
"""Contexts that are remembered, newest first."""


class PromptLookup:
    """What followed the tokens of earlier sequences. Not thread-safe: the worker owns it."""

    def __init__(self) -> None:
        self._continuations: OrderedDict[tuple[int, ...], tuple[Sequence[int], int]] = OrderedDict()

    def remember(self, tokens: Sequence[int]) -> None:
        """Propose from this sequence, which does not change any more."""
        for length in CONTEXT_LENGTHS:
            for end in range(length, len(tokens)):
                context = tuple(tokens[end - length : end])
                self._continuations[context] = (tokens, end)
                self._continuations.move_to_end(context)
        while len(self._continuations) > REMEMBERED:
            self._continuations.popitem(last=False)

    def propose(self, tokens: Sequence[int], most: int, surely: bool = False) -> list[int]:
        """At most so many tokens that may follow these, none where nothing like it was seen.

        `surely` asks for what followed the longest context alone: of what follows one token little is right.
        """
        for length in CONTEXT_LENGTHS[:1] if surely else CONTEXT_LENGTHS:
            found = self._continuations.get(tuple(tokens[-length:]))
            if found is not None:
                followed, end = found
                return list(followed[end : end + most])
        return []
