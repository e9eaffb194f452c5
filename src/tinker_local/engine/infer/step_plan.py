"""Which tokens go through the model in one step: the next ones of every sequence, within a budget.

Prompts of one step that begin alike have their common tokens computed once, and share the pages these fill.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from tinker_local.engine.infer.jobs import Feed
from tinker_local.engine.kv_cache.paged_attention import PagedAttention, Segment, step_rows
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS, KeyValuePages
from tinker_local.engine.model.llama import LlamaConfig

TakePage = Callable[[Feed], int | None]
"""A page for this feed, behind its last where that is free; None where none is to be had now."""


@dataclass
class _Placed:
    """A feed's part of the step: the rows of its positions from `start` on."""

    feed: Feed
    start: int
    rows: list[int] = field(default_factory=list[int])
    num_written: int = 0
    """Of the rows, those that are going to be written into the feed's pages."""


class StepPlan:
    """The rows of one step. Feeds are added in the order of their rights; what finds no room waits."""

    def __init__(self, pages: KeyValuePages, take_page: TakePage, budget: int) -> None:
        """`budget` is the most rows that prompts get together."""
        self._pages = pages
        self._take_page = take_page
        self._budget = budget
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self._owners: list[Feed] = []
        self._writes: list[tuple[int, int, int]] = []
        self._placed: dict[Feed, _Placed] = {}
        # Rows by the beginning that they follow, which a number stands for, and their token.
        self._rows: dict[tuple[int, int], int] = {}
        self._beginnings: dict[Hashable, int] = {}

    def __contains__(self, feed: object) -> bool:
        return feed in self._placed

    def rows_of(self, feed: Feed) -> tuple[int, list[int]]:
        """The first position that was placed, and the rows from there on; none where there was no room."""
        placed = self._placed.get(feed)
        return (feed.computed, []) if placed is None else (placed.start, placed.rows)

    def add_fixed(self, feed: Feed, guessed: Sequence[int]) -> int:
        """The last token of a feed whose others are computed, and guesses behind it, whatever the budget.

        Returns how many of these there was memory for.
        """
        placed = _Placed(feed, feed.computed)
        for token in (feed.tokens[-1], *guessed):
            if not self._has_page(feed, feed.computed + len(placed.rows)):
                break
            self._write(self._new_row(feed, token, feed.computed + len(placed.rows)), placed)
        if placed.rows:
            self._placed[feed] = placed
        return len(placed.rows)

    def add(self, feed: Feed, others: int = 0) -> bool:
        """As many of a feed's tokens as there is room for; those that others compute in this step are free.

        While so many `others` wait behind it, it takes no more than half of the budget that is left.
        """
        share = max(self._budget // 2, PAGE_TOKENS) if others else self._budget
        share = min(share, self._budget)
        placed = _Placed(feed, feed.computed)
        before = self._beginning(feed)
        for position in range(feed.computed, len(feed.tokens)):
            token = feed.tokens[position]
            row = self._rows.get((before, token))
            if row is None:
                if share <= 0 or not self._write_shared(placed) or not self._has_page(feed, position):
                    break
                share, self._budget = share - 1, self._budget - 1
                row = self._new_row(feed, token, position)
                self._rows[before, token] = row
                self._write(row, placed)
            else:
                placed.rows.append(row)
            before = -row - 1
        self._write_shared(placed)
        if placed.rows:
            self._placed[feed] = placed
        return bool(placed.rows)

    def _beginning(self, feed: Feed) -> int:
        key = tuple(feed.tokens[: feed.computed])
        return self._beginnings.setdefault(key, len(self._beginnings))

    def _new_row(self, feed: Feed, token: int, position: int) -> int:
        self.tokens.append(token)
        self.positions.append(position)
        self._owners.append(feed)
        return len(self.tokens) - 1

    def _write(self, row: int, placed: _Placed) -> None:
        """Add a row to a feed, and write it into the feed's own page."""
        position = placed.start + len(placed.rows)
        self._writes.append((row, placed.feed.pages[position // PAGE_TOKENS], position % PAGE_TOKENS))
        placed.rows.append(row)
        placed.num_written += 1

    def _write_shared(self, placed: _Placed) -> bool:
        """See that the last rows, which other feeds compute, get into this one's pages; share full ones.

        False where memory ended before; the rows beyond are then left out.
        """
        feed = placed.feed
        while (first := placed.num_written) < len(placed.rows):
            position = placed.start + first
            owner = self._owners[placed.rows[first]]
            number = position // PAGE_TOKENS
            whole = placed.rows[first : first + PAGE_TOKENS]
            if (
                number == len(feed.pages)
                and len(whole) == PAGE_TOKENS
                and all(self._owners[row] is owner for row in whole)
            ):
                feed.pages.append(self._pages.share(owner.pages[number]))
                placed.num_written += PAGE_TOKENS
                continue
            if not self._has_page(feed, position):
                del placed.rows[first:]
                return False
            self._writes.append((placed.rows[first], feed.pages[number], position % PAGE_TOKENS))
            placed.num_written += 1
        return True

    def _has_page(self, feed: Feed, position: int) -> bool:
        if position // PAGE_TOKENS < len(feed.pages):
            return True
        page = self._take_page(feed)
        if page is None:
            return False
        feed.pages.append(page)
        return True

    def attention(self, config: LlamaConfig, unit: int) -> PagedAttention:
        """What the rows attend to; `tokens` and `positions` are filled up to a number that comes often."""
        own: dict[Feed, list[int]] = {}
        for row, owner in enumerate(self._owners):
            own.setdefault(owner, []).append(row)
        segments = [
            Segment(feed.pages, rows, [self.positions[row] for row in rows]) for feed, rows in own.items()
        ]
        missing = step_rows(len(self.tokens), unit) - len(self.tokens)
        self.tokens += [0] * missing
        self.positions += [0] * missing
        return PagedAttention(self._pages, config, len(self.tokens), segments, self._writes)
