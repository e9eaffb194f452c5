"""Which tokens go through the model in one token step: the next ones of every sequence, within a budget.

Prompts of one step that begin alike have their common tokens computed once, and share the pages these fill.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from tinker_local.engine.infer.jobs import Feed
from tinker_local.engine.infer.networks.network import Pass
from tinker_local.engine.kv_cache.paged_attention import Segment
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS, KeyValuePages

TakePage = Callable[[Feed], int | None]
"""A page for this feed, behind its last where that is free; None where none is to be had now."""


@dataclass
class _Part:
    """A feed's part of the step: the rows of its positions from `start` on."""

    feed: Feed
    start: int
    rows: list[int] = field(default_factory=list[int])
    num_written: int = 0
    """Of the rows, those that are going to be written into the feed's pages."""


class TokenStepPlan:
    """The rows of one token step. Feeds are added in the order of their rights; what finds no room waits."""

    def __init__(self, pages: KeyValuePages, take_page: TakePage, budget: int) -> None:
        """`budget` is the most rows that prompts get together."""
        self._pages = pages
        self._take_page = take_page
        self._budget = budget
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self._owners: list[Feed] = []
        self._writes: list[tuple[int, int, int]] = []
        self._parts: dict[Feed, _Part] = {}
        # Rows by the prefix that they follow, which a number stands for, and their token.
        self._rows: dict[tuple[int, int], int] = {}
        self._prefixes: dict[Hashable, int] = {}
        # Rows at which a feed has no more room in this step, and the token that it goes on with.
        self._stops: dict[int, int] = {}

    def __contains__(self, feed: object) -> bool:
        return feed in self._parts

    def rows_of(self, feed: Feed) -> tuple[int, list[int]]:
        """The first position that has a row, and the rows from there on; none where there was no room."""
        part = self._parts.get(feed)
        return (feed.computed, []) if part is None else (part.start, part.rows)

    def add_fixed(self, feed: Feed, proposed: Sequence[int]) -> int:
        """A feed's last token, all others being computed, and those proposed behind it, whatever the budget.

        Returns how many of these there was memory for.
        """
        part = _Part(feed, feed.computed)
        for token in (feed.tokens[-1], *proposed):
            if not self._has_page(feed, feed.computed + len(part.rows)):
                break
            self._write(self._new_row(feed, token, feed.computed + len(part.rows)), part)
        if part.rows:
            self._parts[feed] = part
        return len(part.rows)

    def add(self, feed: Feed, others: int = 0) -> bool:
        """As many of a feed's tokens as there is room for; those that others compute in this step are free.

        While so many `others` wait behind it, it takes no more than half of the budget that is left. Where
        one that begins alike has stopped for this step, it stops too, and the next step goes on for both.
        """
        share = max(self._budget // 2, PAGE_TOKENS) if others else self._budget
        share = min(share, self._budget)
        part = _Part(feed, feed.computed)
        before = self._prefix(feed)
        for position in range(feed.computed, len(feed.tokens)):
            token = feed.tokens[position]
            row = self._rows.get((before, token))
            if row is None:
                if share <= 0 or self._is_behind(part, token):
                    break
                if not self._write_shared(part) or not self._has_page(feed, position):
                    break
                share, self._budget = share - 1, self._budget - 1
                row = self._new_row(feed, token, position)
                self._rows[before, token] = row
                self._write(row, part)
            else:
                part.rows.append(row)
            before = -row - 1
        self._write_shared(part)
        if part.rows:
            self._parts[feed] = part
            if (reached := part.start + len(part.rows)) < len(feed.tokens):
                self._stops.setdefault(part.rows[-1], feed.tokens[reached])
        return bool(part.rows)

    def _is_behind(self, part: _Part, token: int) -> bool:
        """Whether the last row is one at which its owner has stopped, with this token to come next."""
        return bool(part.rows) and self._stops.get(part.rows[-1]) == token

    def _prefix(self, feed: Feed) -> int:
        key = tuple(feed.tokens[: feed.computed])
        return self._prefixes.setdefault(key, len(self._prefixes))

    def _new_row(self, feed: Feed, token: int, position: int) -> int:
        self.tokens.append(token)
        self.positions.append(position)
        self._owners.append(feed)
        return len(self.tokens) - 1

    def _write(self, row: int, part: _Part) -> None:
        """Add a row to a feed, and write it into the feed's own page."""
        position = part.start + len(part.rows)
        self._writes.append((row, part.feed.pages[position // PAGE_TOKENS], position % PAGE_TOKENS))
        part.rows.append(row)
        part.num_written += 1

    def _write_shared(self, part: _Part) -> bool:
        """See that the last rows, which other feeds compute, get into this one's pages; share full ones.

        False where memory ended before; the rows beyond are then left out.
        """
        feed = part.feed
        while (first := part.num_written) < len(part.rows):
            position = part.start + first
            owner = self._owners[part.rows[first]]
            number = position // PAGE_TOKENS
            whole = part.rows[first : first + PAGE_TOKENS]
            if (
                number == len(feed.pages)
                and len(whole) == PAGE_TOKENS
                and all(self._owners[row] is owner for row in whole)
            ):
                feed.pages.append(self._pages.share(owner.pages[number]))
                part.num_written += PAGE_TOKENS
                continue
            if not self._has_page(feed, position):
                del part.rows[first:]
                return False
            self._writes.append((part.rows[first], feed.pages[number], position % PAGE_TOKENS))
            part.num_written += 1
        return True

    def _has_page(self, feed: Feed, position: int) -> bool:
        if position // PAGE_TOKENS < len(feed.pages):
            return True
        page = self._take_page(feed)
        if page is None:
            return False
        feed.pages.append(page)
        return True

    def rows(self) -> Pass:
        """All rows, with the sequences that they belong to."""
        own: dict[Feed, list[int]] = {}
        for row, owner in enumerate(self._owners):
            own.setdefault(owner, []).append(row)
        segments = [
            Segment(feed.pages, rows, [self.positions[row] for row in rows]) for feed, rows in own.items()
        ]
        return Pass(self.tokens, self.positions, segments, self._writes, self._pages)
