"""Causal attention over sequences that lie one behind another, none of which sees the others.

By hand, as two matrix products and a softmax each way: on a CPU that takes a third of the time that torch's
fused kernel does for a hundred tokens. Queries that share keys stand below each other, so that no key is
repeated. Long sequences are taken in blocks of queries, which bounds the memory and leaves out most of what
causality forbids; the probabilities are computed again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.native.library import Shape, kernels, takes_bfloat16

QUERY_BLOCK = 256
"""Queries of one sequence that are looked at together."""
MOST_PADDING = 0.15
"""Sequences are padded to one length where at most this share of each is padding."""
WIDTHS = 64
"""The kernels in C take heads whose width is a multiple of this."""


@dataclass(frozen=True)
class Heads:
    """How many heads ask, and how many have keys and values; each of these serves equally many of those."""

    queries: int
    keys: int

    def parts(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of what stands beside each other, [rows, all heads, head_dim]."""
        asking, known = self.queries, self.queries + self.keys
        return inputs[:, :asking], inputs[:, asking:known], inputs[:, known:]


@dataclass(frozen=True)
class Padding:
    """Where the tokens of sequences of unequal lengths lie among rows, and among these when padded.

    `sources` int64 [sequences * longest] is a row for each slot, in the padding the sequence's last one,
    whose result is not used there. `slots` are those of tokens, `rows` the rows of these, int64 [tokens].
    """

    sources: Tensor
    slots: Tensor
    rows: Tensor


@dataclass(frozen=True)
class SequenceGroup:
    """Sequences of nearly one length, whose rows follow each other from `start` on.

    `future` [block, block] is what is added to scores: minus infinity where a key comes after the query.
    """

    start: int
    sequences: int
    longest: int
    padding: Padding | None
    future: Tensor


@dataclass(frozen=True)
class Sequences:
    """Sequences one behind another, int64 [sequences] in rows, and neighbours of like length together."""

    starts: Tensor
    lengths: Tensor
    longest: int
    groups: tuple[SequenceGroup, ...]

    @property
    def places(self) -> tuple[Tensor, Tensor, int, int]:
        """As the kernels in C take them."""
        return self.starts, self.lengths, len(self.lengths), self.longest


def sequences_of(lengths: Sequence[int], dtype: torch.dtype, device: torch.device) -> Sequences:
    """Sequences of these lengths, best the longest first."""
    sizes = torch.tensor(lengths, dtype=torch.int64)
    return Sequences(sizes.cumsum(0) - sizes, sizes, max(lengths), _grouped(lengths, dtype, device))


def _grouped(lengths: Sequence[int], dtype: torch.dtype, device: torch.device) -> tuple[SequenceGroup, ...]:
    groups: list[SequenceGroup] = []
    first = start = 0
    while first < len(lengths):
        longest = lengths[first]
        end = first + 1
        while end < len(lengths) and longest * (1 - MOST_PADDING) <= lengths[end] <= longest:
            end += 1
        mine = lengths[first:end]
        padding = None if min(mine) == longest else _padding(start, mine, longest, device)
        block = min(longest, QUERY_BLOCK)
        future = torch.full((block, block), float("-inf"), dtype=dtype, device=device).triu(1)
        groups.append(SequenceGroup(start, len(mine), longest, padding, future))
        first, start = end, start + sum(mine)
    return tuple(groups)


def _padding(start: int, lengths: Sequence[int], longest: int, device: torch.device) -> Padding:
    sizes = torch.tensor(lengths)
    ends = (sizes.cumsum(0) + start)[:, None]
    slots = torch.arange(longest)[None]
    sources = torch.minimum(ends - sizes[:, None] + slots, ends - 1).flatten()
    kept = (slots < sizes[:, None]).flatten().nonzero()[:, 0]
    return Padding(sources.to(device), kept.to(device), sources[kept].to(device))


Kept = Tensor | list[Tensor | None]
"""The logarithms of the sums, float32 [rows, heads], of the kernels in C; else the probabilities of each
group where they are few enough to be kept."""


def attention(inputs: Tensor, heads: Heads, sequences: Sequences) -> tuple[Tensor, Kept]:
    """What each token gathers [rows, heads, head_dim], from queries, keys and values beside each other.

    And what the backward pass needs of it.
    """
    rows, _, width = inputs.shape
    if takes_bfloat16(inputs) and width % WIDTHS == 0 and inputs.is_contiguous():
        output, log_sums = inputs.new_zeros((rows, heads.queries, width)), torch.zeros((rows, heads.queries))
        shape, threads = Shape(heads.queries, heads.keys, width), torch.get_num_threads()
        kernels().half_attention(inputs, shape, *sequences.places, output, log_sums, threads)
        return output, log_sums
    queries, keys, values = heads.parts(inputs)
    # Rows that are in no group gather nothing.
    output = torch.zeros_like(queries, memory_format=torch.contiguous_format)
    kept: list[Tensor | None] = []
    for group in sequences.groups:
        q, k, v = (_by_head(part, group, heads.keys) for part in (queries, keys, values))
        probabilities: Tensor | None = None
        found: list[Tensor] = []
        for begin, end in _blocks(group.longest):
            probabilities = _probabilities(q, k, group.future, begin, end)
            found.append(_apart(probabilities @ v[:, 0, :end], end - begin))
        _put(output, found, group)
        kept.append(probabilities if group.longest <= QUERY_BLOCK else None)
    return output, kept


def attention_backward(
    gradient: Tensor,
    inputs: Tensor,
    kept: Kept,
    heads: Heads,
    sequences: Sequences,
) -> Tensor:
    """The gradient to queries, keys and values from that to what was gathered."""
    to_inputs = torch.zeros_like(inputs)
    if isinstance(kept, Tensor):
        shape = Shape(heads.queries, heads.keys, inputs.shape[2])
        parts = torch.empty((2, *gradient.shape), dtype=torch.float32)
        given = (gradient.contiguous(), inputs, kept, shape, *sequences.places)
        kernels().half_attention_backward(*given, parts, to_inputs, len(inputs), torch.get_num_threads())
        return to_inputs
    queries, keys, values = heads.parts(inputs)
    to_queries, to_keys, to_values = heads.parts(to_inputs)
    scale = inputs.shape[-1] ** -0.5
    for group, known in zip(sequences.groups, kept, strict=True):
        q, k, v = (_by_head(part, group, heads.keys) for part in (queries, keys, values))
        incoming = _by_head(gradient, group, heads.keys, padded_with_zeros=True)
        to_q: list[Tensor] = []
        to_k, to_v = torch.zeros_like(k), torch.zeros_like(v)
        for begin, end in _blocks(group.longest):
            probabilities = _probabilities(q, k, group.future, begin, end) if known is None else known
            mine = incoming[:, :, begin:end].flatten(1, 2)
            to_v[:, 0, :end].add_(probabilities.transpose(1, 2) @ mine)
            to_p = mine @ v[:, 0, :end].transpose(1, 2)
            to_s = torch.ops.aten._softmax_backward_data(to_p, probabilities, -1, to_p.dtype).mul_(scale)
            to_q.append(_apart(to_s @ k[:, 0, :end], end - begin))
            to_k[:, 0, :end].add_(to_s.transpose(1, 2) @ q[:, :, begin:end].flatten(1, 2))
        _put(to_queries, to_q, group)
        _put(to_keys, [to_k], group)
        _put(to_values, [to_v], group)
    return to_inputs


def _blocks(longest: int) -> list[tuple[int, int]]:
    """Queries that are looked at together, from and to."""
    return [(begin, min(begin + QUERY_BLOCK, longest)) for begin in range(0, longest, QUERY_BLOCK)]


def _probabilities(q: Tensor, k: Tensor, future: Tensor, begin: int, end: int) -> Tensor:
    """Of a block of queries, [batch, shared * block, keys up to its end]."""
    size = end - begin
    mask = F.pad(future[:size, :size], (begin, 0)).repeat(q.shape[1], 1)
    block, past = q[:, :, begin:end].flatten(1, 2), k[:, 0, :end].transpose(1, 2)
    return torch.softmax(torch.baddbmm(mask, block, past, alpha=q.shape[-1] ** -0.5), dim=-1)


def _apart(rows: Tensor, size: int) -> Tensor:
    """Queries that share a key, below each other, as [batch, shared, size, head_dim]."""
    return rows.view(len(rows), -1, size, rows.shape[-1])


def _by_head(x: Tensor, group: SequenceGroup, kv_heads: int, padded_with_zeros: bool = False) -> Tensor:
    """A group's rows as [sequences * kv_heads, heads that share a key, longest, head_dim]."""
    heads, width = x.shape[1:]
    if group.padding is None:
        rows = x[group.start : group.start + group.sequences * group.longest]
    elif padded_with_zeros:
        rows = x.new_zeros((group.sequences * group.longest, heads, width))
        rows[group.padding.slots] = x[group.padding.rows]
    else:
        rows = x[group.padding.sources]
    split = rows.view(group.sequences, group.longest, kv_heads, heads // kv_heads, width)
    return split.permute(0, 2, 3, 1, 4).reshape(-1, heads // kv_heads, group.longest, width)


def _put(output: Tensor, blocks: Sequence[Tensor], group: SequenceGroup) -> None:
    """Put blocks of what `_by_head` gives, one behind another, where the group's rows lie in the output."""
    by_head = blocks[0] if len(blocks) == 1 else torch.cat(list(blocks), dim=2)
    batch, shared, longest, width = by_head.shape
    split = by_head.view(group.sequences, batch // group.sequences, shared, longest, width)
    by_token = split.permute(0, 3, 1, 2, 4).reshape(-1, *output.shape[1:])
    if group.padding is None:
        output[group.start : group.start + len(by_token)] = by_token
    else:
        output[group.padding.rows] = by_token[group.padding.slots]
