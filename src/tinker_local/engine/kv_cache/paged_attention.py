"""One forward pass over tokens of many sequences, whose keys and values stand in pages.

The tokens of a pass are rows without any order or padding between sequences: the newest token of one, what
is speculated behind it, a piece of the prompt of another. Rows know their sequence by its page table alone.

What a row gets must not depend on the rows beside it, to the last bit; else one seed would give one text
alone and another in company. So attention is computed in a form that follows from a token's position alone:
over its own sequence from the beginning to the next multiple of `SPAN`, in the order of positions, with what
lies beyond masked, and in a multiple of `QUERY_ROWS` queries, from which on the libraries compute every row
alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.matmul import ALIKE_ROWS, rounded_up
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS, KeyValuePages
from tinker_local.engine.model.llama import Llama, LlamaConfig, Projection

SPAN = 64
"""Tokens whose attention spans the same number of keys."""
QUERY_ROWS = 8
"""Queries of a product are a multiple of this many: MKL computes one to seven of them in other orders."""
GATHERED_BYTES = 16 * 2**20
"""Keys or values that are brought together at once, from pages that do not follow each other."""


@dataclass(frozen=True)
class Segment:
    """Rows of one pass that belong to one sequence, with their positions, and the sequence's pages."""

    pages: Sequence[int]
    rows: Sequence[int]
    positions: Sequence[int]


@dataclass(frozen=True)
class _Group:
    """Blocks of queries whose attention has one shape.

    `rows` int64 [blocks * tokens]; `table` int64 [blocks * pages], or the first page where one block's
    pages follow each other; `mask` [blocks, 1, queries, keys] to add.
    """

    rows: Tensor
    num_blocks: int
    num_tokens: int
    num_pages: int
    table: Tensor | int
    mask: Tensor
    gathered: tuple[Tensor, Tensor] | None
    """Where keys and values are brought together, in every layer anew."""


class PagedAttention:
    """Where the rows of one pass are written, and what they attend to; the same in every layer."""

    def __init__(
        self,
        pages: KeyValuePages,
        config: LlamaConfig,
        num_rows: int,
        segments: Sequence[Segment],
        writes: Sequence[tuple[int, int, int]],
    ) -> None:
        """`writes` are (row, page, offset in it); a row may be written to several sequences."""
        self._pages = pages
        self._config = config
        device = pages.keys.device
        sources = [row for row, _, _ in writes]
        in_order = sources == [*range(len(sources))]
        self._sources = None if in_order else torch.tensor(sources, device=device)
        targets = [page * PAGE_TOKENS + offset for _, page, offset in writes]
        self._targets = torch.tensor(targets, device=device)
        self._groups = self._grouped(segments)
        # Rows that only fill up the pass belong to no group and take the first slot.
        slots = [0] * num_rows
        rows = [row for group in self._groups for row in cast(list[int], group.rows.tolist())]
        for number in reversed(range(len(rows))):
            slots[rows[number]] = number
        self._order = None if slots == [*range(len(rows))] else torch.tensor(slots, device=device)

    def _grouped(self, segments: Sequence[Segment]) -> list[_Group]:
        alike: dict[tuple[int, int], list[Segment]] = {}
        for segment in segments:
            for block in _blocks(segment):
                keys = rounded_up(block.positions[0] + 1, SPAN)
                tokens = 1 << (len(block.rows) - 1).bit_length()
                alike.setdefault((keys, tokens), []).append(block)
        heads, width = self._config.num_key_value_heads, self._config.head_dim
        token_bytes = heads * width * self._pages.keys.dtype.itemsize
        groups: list[_Group] = []
        for (keys, tokens), blocks in alike.items():
            at_once = max(GATHERED_BYTES // (keys * token_bytes), 1)
            groups.extend(
                self._group(keys, tokens, blocks[first : first + at_once])
                for first in range(0, len(blocks), at_once)
            )
        return groups

    def _group(self, keys: int, tokens: int, blocks: Sequence[Segment]) -> _Group:
        device, dtype = self._pages.keys.device, self._pages.keys.dtype
        rows, positions, table = list[int](), list[int](), list[int]()
        for block in blocks:
            missing = tokens - len(block.rows)
            rows += [*block.rows, *[block.rows[0]] * missing]
            positions += [*block.positions, *[block.positions[0]] * missing]
            mine = [*block.pages[: keys // PAGE_TOKENS]]
            table += mine + [0] * (keys // PAGE_TOKENS - len(mine))
        shared = self._config.num_attention_heads // self._config.num_key_value_heads
        hidden = torch.arange(keys) > torch.tensor(positions).view(len(blocks), tokens, 1)
        mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -math.inf)
        mask = mask.repeat_interleave(shared, dim=1)
        filler = rounded_up(mask.shape[1], QUERY_ROWS) - mask.shape[1]
        mask = F.pad(mask, (0, 0, 0, filler))[:, None].to(device)
        first = _first_of_run(table, self._pages.num_pages) if len(blocks) == 1 else None
        where = torch.tensor(table, device=device) if first is None else first
        index = torch.tensor(rows, device=device)
        gathered = None
        if first is None:
            shape = (len(table), *self._pages.values.shape[2:])
            gathered = (
                torch.empty(shape, dtype=dtype, device=device),
                torch.empty(shape, dtype=dtype, device=device),
            )
        return _Group(index, len(blocks), tokens, keys // PAGE_TOKENS, where, mask, gathered)

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Write keys and values [rows, kv_heads, head_dim], and attend to all: [rows, heads * head_dim]."""
        for number, (stored, fresh) in enumerate(zip(self._pages.layer(layer), (keys, values), strict=True)):
            chosen = fresh[: len(self._targets)] if self._sources is None else fresh[self._sources]
            if number == 0 and self._pages.keys_by_width:
                page, offset = self._targets // PAGE_TOKENS, self._targets % PAGE_TOKENS
                stored[page, :, :, offset] = chosen
            else:
                stored.view(-1, *stored.shape[2:]).index_copy_(0, self._targets, chosen)
        parts = [self._attend(layer, group, queries) for group in self._groups]
        attended = parts[0] if len(parts) == 1 else torch.cat(parts)
        return attended if self._order is None else attended[self._order]

    def _attend(self, layer: int, group: _Group, queries: Tensor) -> Tensor:
        heads, width = self._config.num_key_value_heads, self._config.head_dim
        blocks, tokens = group.num_blocks, group.num_tokens
        # The queries that share keys stand as rows of one head, so that nothing has to be repeated.
        chosen = queries[group.rows].view(blocks, tokens, heads, -1, width).transpose(1, 2)
        chosen = chosen.reshape(blocks, heads, -1, width)
        num_queries = chosen.shape[2]
        chosen = F.pad(chosen, (0, 0, 0, group.mask.shape[2] - num_queries))
        keys, values = self._gathered(layer, group)
        attended = F.scaled_dot_product_attention(chosen, keys, values, attn_mask=group.mask)
        attended = attended[:, :, :num_queries].view(blocks, heads, tokens, -1, width)
        return attended.transpose(1, 2).reshape(blocks * tokens, -1)

    def _gathered(self, layer: int, group: _Group) -> tuple[Tensor, Tensor]:
        """A layer's keys and values by block, [blocks, kv_heads, keys, head_dim]."""
        keys, values = self._pages.layer(layer)
        if self._pages.keys_by_width:
            keys = keys.permute(0, 3, 1, 2)
        if isinstance(group.table, int):
            run = slice(group.table, group.table + group.num_pages)
            keys, values = keys[run], values[run]
        elif group.gathered is not None:
            keys = torch.index_select(keys, 0, group.table, out=group.gathered[0])
            values = torch.index_select(values, 0, group.table, out=group.gathered[1])
        by_block = (group.num_blocks, -1, *keys.shape[2:])
        return keys.reshape(by_block).transpose(1, 2), values.view(by_block).transpose(1, 2)


def _blocks(segment: Segment) -> list[Segment]:
    """The parts of a segment whose attention spans the same keys."""
    blocks: list[Segment] = []
    start = 0
    for end in range(1, len(segment.rows) + 1):
        if end == len(segment.rows) or segment.positions[end] // SPAN != segment.positions[start] // SPAN:
            blocks.append(Segment(segment.pages, segment.rows[start:end], segment.positions[start:end]))
            start = end
    return blocks


def _first_of_run(table: Sequence[int], last: int) -> int | None:
    """The first of pages that follow each other, which those after them may do as well, being masked."""
    first = table[0]
    used = [page for page in table if page]
    if first and used == [*range(first, first + len(used))] and first + len(table) - 1 <= last:
        return first
    return None


def row_unit(model: Llama) -> int:
    """Rows of a pass are a multiple of this many, at least two.

    A few rows alone go to kernels that sum in another order. And torch computes the last few numbers of a
    tensor with other instructions, so that there must be none left over, in either half for two threads.
    """
    unit = ALIKE_ROWS if model.dtype == torch.float32 else 2
    while unit * model.config.intermediate_size % 128 or unit * model.config.hidden_size % 128:
        unit *= 2
    return unit


def step_rows(num_rows: int, unit: int) -> int:
    """How many rows to compute where so many are wanted: few numbers, since each has kernels made for it."""
    if num_rows <= 8:
        return max(1 << (num_rows - 1).bit_length(), unit)
    return rounded_up(num_rows, max(8 if num_rows <= 64 else 32, unit))


def paged_hidden(
    model: Llama, project: Projection, tokens: Sequence[int], positions: Sequence[int], attend: PagedAttention
) -> Tensor:
    """Final normalised states [len(tokens) or more, hidden] of a pass, which `attend` was made for."""
    index = torch.tensor([tokens, positions], device=model.device)
    return model.flat_hidden(index[0], index[1], attend, project)
