"""All blocks of a model for a few rows, in one call of blocks.c.

A row of a small model takes ten milliseconds, of which a third went by between some three hundred calls.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.attention import PageReads, PageWrites
from tinker_local.engine.kernels.native.few_rows import FewRowsLowRank, Matrix
from tinker_local.engine.kernels.native.library import Shape, kernels

_POINTER, _LONG = ctypes.c_void_p, ctypes.c_long


class _Group(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("base", "a", "b")],
        ("layers", _LONG),
        ("bias", _POINTER),
        ("outputs", _LONG),
    ]


class _Block(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("attention_norm", "feed_forward_norm")],
        *[(name, _Group) for name in ("attention_inputs", "attention_output")],
        *[(name, _Group) for name in ("feed_forward_inputs", "feed_forward_output")],
    ]


class _Places(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("positions", "sources", "slots")],
        ("written", _LONG),
        *[(name, _POINTER) for name in ("tables", "starts", "lengths")],
        ("longest", _LONG),
        *[(name, _POINTER) for name in ("keys", "values")],
        *[(name, _LONG) for name in ("keys_apart", "values_apart")],
    ]


@dataclass(frozen=True)
class Group:
    """Layers of one input, by name: their matrix, a bias [all outputs], and the adapters beside it."""

    names: tuple[str, ...]
    matrix: Matrix
    bias: Tensor | None
    low_rank: FewRowsLowRank | None = None

    @property
    def takes_few(self) -> bool:
        """Whether the kernels for few rows have all of it."""
        return self.matrix.few is not None and (self.low_rank is None or self.low_rank.takes_few)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [rows, all outputs] of inputs [rows, inputs]."""
        outputs = self.matrix(x) if self.low_rank is None else self.low_rank.applied(self.matrix, x)
        if self.bias is not None:
            outputs.add_(self.bias)
        return outputs


@dataclass(frozen=True)
class Block:
    """A block's norms [hidden], and its groups in the order in which they are computed."""

    attention_norm: Tensor
    feed_forward_norm: Tensor
    groups: tuple[Group, ...]


class FewRowsBlocks:
    """The blocks, the final norm [hidden], and cosines and sines [positions, head width], all float32."""

    def __init__(
        self,
        blocks: Sequence[Block],
        norm: Tensor,
        angles: tuple[Tensor, Tensor],
        shape: Shape,
        eps: float,
    ) -> None:
        """Every group has to take few rows."""
        few = [group.matrix.few for block in blocks for group in block.groups]
        self.most_rows = min((one.most_rows for one in few if one is not None), default=0)
        # What the structures point to is held as long as they.
        self._held = (blocks, norm, angles)
        self._shape, self._eps = shape, eps
        self._blocks = (_Block * len(blocks))(*(_block(block) for block in blocks))
        inner = blocks[0].groups[3].matrix.many.shape[1] if blocks else 0
        low = [part.low_rank.few[0] for block in blocks for part in block.groups if part.low_rank is not None]
        widest = max((one.panels.outputs for one in low), default=0)
        heads = shape.heads * shape.width
        self._room = 2 * len(norm) + 2 * heads + 2 * shape.kv_heads * shape.width + 3 * inner + widest

    def hidden(
        self, x: Tensor, positions: Tensor, writes: PageWrites, reads: PageReads, pages: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Final normalised states [rows, hidden] of embeddings [rows, hidden], which are used up.

        `pages` are the keys and values of all layers.
        """
        _, norm, angles = self._held
        places = _Places(
            *(one.data_ptr() for one in (positions, writes.sources, writes.slots)),
            len(writes.slots),
            *(one.data_ptr() for one in (reads.tables, reads.starts, reads.lengths)),
            reads.longest,
            *(one.data_ptr() for one in pages),
            *(one.stride(0) for one in pages),
        )
        room, output = x.new_empty(len(x) * self._room), torch.empty_like(x)
        model = (self._blocks, len(self._blocks), self._shape, self._eps, norm, *angles)
        rows = (x, x.shape[1], room, output, len(x), torch.get_num_threads())
        kernels().hidden_states(*model, ctypes.byref(places), *rows)
        return output


def _block(parts: Block) -> _Block:
    norms = (parts.attention_norm.data_ptr(), parts.feed_forward_norm.data_ptr())
    return _Block(*norms, *(_group(group) for group in parts.groups))


def _group(parts: Group) -> _Group:
    assert parts.matrix.few is not None, "whoever makes this has seen that few rows are taken"
    a, b, layers = None, None, 0
    if parts.low_rank is not None:
        a_few, b = parts.low_rank.few
        a, layers = a_few.address, parts.low_rank.layers
    bias = None if parts.bias is None else parts.bias.data_ptr()
    return _Group(parts.matrix.few.address, a, b, layers, bias, parts.matrix.few.panels.outputs)
