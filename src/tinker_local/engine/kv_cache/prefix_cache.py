"""Prefixes of prompts that were computed lately, so that they are not computed again.

A prefix is a chain of full pages. Each link is known by the weights that computed it, the link before it
and its tokens; nothing but exactly the same prefix finds it. Pages that only this cache holds are given
back when memory is needed, those that were used longest ago first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tinker_local.engine.kv_cache.pages import PAGE_TOKENS, KeyValuePages

Link = tuple[int, int, tuple[int, ...]]


class PrefixCache:
    """Full pages by what stands in them and before. Not thread-safe: the worker owns it."""

    def __init__(self, pages: KeyValuePages) -> None:
        self._pages = pages
        # Oldest use first: (page, number of this link, by which the next one knows it).
        self._links: OrderedDict[Link, tuple[int, int]] = OrderedDict()
        self._numbers = count(1)

    def find(self, weights: int, tokens: Sequence[int], most: int) -> list[int]:
        """Pages that hold the first tokens, at most `most` of them; each counts one more user."""
        found: list[Link] = []
        before = 0
        for start in range(0, most - PAGE_TOKENS + 1, PAGE_TOKENS):
            link = (weights, before, tuple(tokens[start : start + PAGE_TOKENS]))
            known = self._links.get(link)
            if known is None:
                break
            found.append(link)
            before = known[1]
        self._used(found)
        return [self._pages.share(self._links[link][0]) for link in found]

    def remember(self, weights: int, tokens: Sequence[int], pages: Sequence[int]) -> None:
        """Keep the full pages of a sequence whose `tokens` have been computed into them."""
        links: list[Link] = []
        before = 0
        for number in range(len(tokens) // PAGE_TOKENS):
            start = number * PAGE_TOKENS
            link = (weights, before, tuple(tokens[start : start + PAGE_TOKENS]))
            if link not in self._links:
                self._links[link] = (self._pages.share(pages[number]), next(self._numbers))
            before = self._links[link][1]
            links.append(link)
        self._used(links)

    def _used(self, links: Sequence[Link]) -> None:
        # The end of a chain is older than its beginning, without which nobody finds it.
        for link in reversed(links):
            self._links.move_to_end(link)

    def give_back_one(self) -> bool:
        """Free the page that was used longest ago and that no sequence holds; False where there is none."""
        for link, (page, _) in self._links.items():
            if self._pages.users(page) == 1:
                del self._links[link]
                self._pages.give_back([page])
                return True
        return False

    def drop(self, weights: int) -> None:
        """Forget what these weights computed."""
        for link in [link for link in self._links if link[0] == weights]:
            page, _ = self._links.pop(link)
            self._pages.give_back([page])


@dataclass
class Memory:
    """Pages for one base model, whatever the adapter, and what of them is remembered."""

    pages: KeyValuePages
    cache: PrefixCache
