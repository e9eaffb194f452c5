"""A model with at most one adapter, computed by the kernels in C wherever they are the faster.

The base's matrices are laid out once for all its adapters, which stand beside them: a token then takes the
bytes that the base has on disk and those of the adapter. Many rows are multiplied by oneDNN, a few by
`few_rows.c`, with the same bits; everything between the matrices is computed row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.infer.networks.network import Pass, filled_up
from tinker_local.engine.kernels.matmul import rounded_up
from tinker_local.engine.kernels.native.attention import PageReads, PageWrites, attend, rotate_and_write_
from tinker_local.engine.kernels.native.blocks import Block, FewRowsBlocks, Group
from tinker_local.engine.kernels.native.few_rows import MOST_FLOAT_ROWS, BlockLengths, FewRowsLowRank
from tinker_local.engine.kernels.native.library import Shape, library
from tinker_local.engine.kernels.native.panels import GROUP, LANES
from tinker_local.engine.kernels.native.pointwise import add_and_norm, gated
from tinker_local.engine.kv_cache.paged_attention import step_rows
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.model.merging import PARTS, folded_weight
from tinker_local.engine.model.packing import MOST_BYTES, packed_matrix

SMALL_BYTES = 64 * 2**20
"""Bases up to this are in the caches, where an adapter beside them costs more than one folded in."""
ALIKE = 2
"""From so many rows on oneDNN computes all alike; the kernels for few rows do from one on."""


def is_native(base: Llama) -> bool:
    """Whether the kernels can compute this model, and are there."""
    config = base.config
    widths = (config.head_dim, config.hidden_size, config.intermediate_size)
    return (
        base.device.type == "cpu"
        and base.dtype == torch.float32
        and not config.query_key_norm
        and all(width % LANES == 0 for width in widths)
        and PAGE_TOKENS == LANES
        and library() is not None
    )


def _low_rank(adapter: Adapter, names: Sequence[str], lengths: BlockLengths) -> FewRowsLowRank | None:
    """The adapters of layers that read one input; they have one all or none."""
    if names[0] not in adapter.matrices:
        return None
    pairs = [adapter.matrices[name] for name in names]
    # Rows and columns of zeros, which add nothing, make any rank fit the panels.
    missing = rounded_up(adapter.config.rank, GROUP) - adapter.config.rank
    below = torch.cat([F.pad(a * adapter.scale, (0, 0, 0, missing)) for a, _ in pairs])
    beside = [F.pad(b, (0, missing)) for _, b in pairs]
    return FewRowsLowRank(
        lengths.adapter_matrix(below, packed_matrix(below)), [lengths.adapter_matrix(b, b) for b in beside]
    )


class NativeBase:
    """A base model's matrices laid out both for many rows and for few, for every adapter beside it."""

    def __init__(self, base: Llama, lengths: BlockLengths, folded: Adapter | None = None) -> None:
        """`folded` is an adapter that becomes part of the matrices, which are then for it alone."""
        config = base.config
        self.config = config
        self.num_parameters = base.num_parameters
        self.embedding = base.weights["model.embed_tokens.weight"]
        self.norm = base.weights["model.norm.weight"]
        self.angles = (base.cosines, base.sines)
        self._only_compact = not self.is_small(base)
        self._lay_out = packed_matrix if base.num_bytes <= MOST_BYTES else _as_it_is
        self._lengths = lengths
        self.shape = Shape(config.num_attention_heads, config.num_key_value_heads, config.head_dim)
        self.blocks: list[Block] = []
        for layer in range(config.num_hidden_layers):
            prefix = f"model.layers.{layer}"
            names = ([f"{prefix}.{part}.{name}" for name in names] for part, names in PARTS)
            norms = (f"{prefix}.{name}.weight" for name in ("input_layernorm", "post_attention_layernorm"))
            self.blocks.append(
                Block(
                    *(base.weights[norm] for norm in norms),
                    groups=tuple(self._group(base, layers, folded) for layers in names),
                )
            )
        self.unembedding = self._group(base, ["lm_head"], folded)

    @staticmethod
    def is_small(base: Llama) -> bool:
        """Whether an adapter is better folded in."""
        return base.num_bytes <= SMALL_BYTES

    def _group(self, base: Llama, names: Sequence[str], folded: Adapter | None) -> Group:
        parts = [folded_weight(base, folded, name) for name in names]
        many = self._lay_out(parts[0] if len(parts) == 1 else torch.cat(parts))
        biases = [base.weights[f"{name}.bias"] for name in names if f"{name}.bias" in base.weights]
        return Group(
            tuple(names),
            self._lengths.matrix(parts, many, only_compact=self._only_compact),
            torch.cat(biases) if biases else None,
        )


def _as_it_is(weight: Tensor) -> Tensor:
    return weight


class NativeNetwork:
    """A base with at most one adapter beside it; a `Network`."""

    def __init__(self, base: NativeBase, adapter: Adapter | None, lengths: BlockLengths) -> None:
        self.config = base.config
        self.num_parameters = base.num_parameters
        self.base = base

        def beside(group: Group) -> Group:
            low_rank = None if adapter is None else _low_rank(adapter, group.names, lengths)
            return group if low_rank is None else replace(group, low_rank=low_rank)

        self._unembedding = beside(base.unembedding)
        self._blocks = [replace(block, groups=tuple(map(beside, block.groups))) for block in base.blocks]
        groups = [self._unembedding, *(group for block in self._blocks for group in block.groups)]
        self._few: FewRowsBlocks | None = None
        if all(group.takes_few for group in groups):
            eps = self.config.rms_norm_eps
            self._few = FewRowsBlocks(self._blocks, base.norm, base.angles, base.shape, eps)
        self._least = ALIKE if self._few is None else 1

    def hidden(self, rows: Pass) -> Tensor:
        """As in `Network`."""
        base, shape, eps = self.base, self.base.shape, self.config.rms_norm_eps
        missing = self._filled(len(rows.tokens)) - len(rows.tokens)
        index = torch.tensor([[*rows.tokens, *[0] * missing], [*rows.positions, *[0] * missing]])
        writes = PageWrites(
            torch.tensor([row for row, _, _ in rows.writes]),
            torch.tensor([page * PAGE_TOKENS + offset for _, page, offset in rows.writes]),
        )
        reads = _page_reads(rows, missing)
        x = F.embedding(index[0], base.embedding)
        if self._few is not None and len(x) <= self._few.most_rows:
            pages = (rows.pages.keys, rows.pages.values)
            return self._few.hidden(x, index[1], writes, reads, pages)
        y: Tensor | None = None
        for layer, block in enumerate(self._blocks):
            to_heads, from_heads, to_gate, from_gate = block.groups
            inputs = to_heads(add_and_norm(x, y, block.attention_norm, eps))
            pages = rows.pages.layer(layer)
            rotate_and_write_(inputs, shape, index[1], base.angles, writes, pages)
            y = from_heads(attend(inputs, shape, reads, pages))
            y = from_gate(gated(to_gate(add_and_norm(x, y, block.feed_forward_norm, eps))))
        return add_and_norm(x, y, base.norm, eps)

    def logits(self, states: Tensor) -> Tensor:
        """As in `Network`."""
        filled = filled_up(states, self._filled(len(states))).contiguous()
        return self._unembedding(filled)[: len(states)]

    def _filled(self, num_rows: int) -> int:
        """Rows to compute: kernels for many rows are made for each number of them."""
        return max(num_rows, self._least) if num_rows <= MOST_FLOAT_ROWS else step_rows(num_rows, ALIKE)


def _page_reads(rows: Pass, missing: int) -> PageReads:
    """What each row reads; rows that fill up read what the first one does."""
    seen = [(0, 0)] * len(rows.tokens)
    for number, segment in enumerate(rows.segments):
        for row, position in zip(segment.rows, segment.positions, strict=True):
            seen[row] = (number, position + 1)
    return PageReads.of([segment.pages for segment in rows.segments], [*seen, *[seen[0]] * missing])
