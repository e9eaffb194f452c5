"""The adapters of layers that read one input, in training, by low_rank.c."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import rounded_up
from tinker_local.engine.kernels.native.library import (
    MOST_LAYERS,
    LowRankStructure,
    has_kernels_for,
    kernels,
)
from tinker_local.engine.kernels.native.panels import LANES

EIGHT = 8
"""Rows of a gradient that are summed up together."""

Pair = tuple[Tensor, Tensor]
"""A [rank, inputs] and B [outputs, rank] of a layer, or their gradients: float32, contiguous."""


def can_train(adapters: Sequence[Pair], dtype: torch.dtype) -> bool:
    """Whether the kernels take adapters of these shapes: bfloat16, ranks by eights and widths by sixteens."""
    a = adapters[0][0]
    sizes = (a.shape[1], *(len(b) for _, b in adapters))
    return (
        has_kernels_for(dtype, a.device)
        and len(adapters) <= MOST_LAYERS
        and len(a) % EIGHT == 0
        and all(size % LANES == 0 for size in sizes)
    )


class PairedLowRank:
    """The adapters of a group, rounded to bfloat16 when made and by `refresh`, and gradients that gather."""

    def __init__(self, adapters: Sequence[Pair], gradients: Sequence[Pair], scale: float) -> None:
        """`can_train` says whether these can be taken; what is computed is added to the gradients."""
        rank, inputs = adapters[0][0].shape
        padded = rounded_up(rank, LANES)
        self.width = len(adapters) * padded
        a_pairs = [_room(inputs, self.width), _room(self.width, inputs)]
        b_pairs = [(_room(padded, len(b)), _room(len(b), padded)) for _, b in adapters]
        # What the structure points to is held as long as it.
        self._held = (adapters, gradients, a_pairs, b_pairs)
        pointers = ctypes.c_void_p * MOST_LAYERS
        self._structure = LowRankStructure(
            layers=len(adapters),
            rank=rank,
            padded=padded,
            inputs=inputs,
            scale=scale,
            a=pointers(*(a.data_ptr() for a, _ in adapters)),
            b=pointers(*(b.data_ptr() for _, b in adapters)),
            a_columns=a_pairs[0].data_ptr(),
            a_rows=a_pairs[1].data_ptr(),
            b_columns=pointers(*(columns.data_ptr() for columns, _ in b_pairs)),
            b_rows=pointers(*(rows.data_ptr() for _, rows in b_pairs)),
            outputs=(ctypes.c_long * MOST_LAYERS)(*(len(b) for _, b in adapters)),
            a_gradients=pointers(*(a.data_ptr() for a, _ in gradients)),
            b_gradients=pointers(*(b.data_ptr() for _, b in gradients)),
        )
        self.address = ctypes.addressof(self._structure)
        refresh([self])

    def add_to(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Add the adapters' terms to outputs [rows, all outputs_i]; gives the input through all A."""
        low = x.new_empty((x.shape[0], self.width))
        sizes = (outputs.stride(0), len(x), torch.get_num_threads())
        kernels().half_low_rank(self.address, x, low, outputs, *sizes)
        return low

    def backward(self, x: Tensor, low: Tensor, gradient: Tensor, to_x: Tensor | None) -> None:
        """Gather the gradients from that to the outputs, and add to that of the input, where it is wanted."""
        given = (x, low, gradient, gradient.stride(0))
        kernels().half_low_rank_backward(self.address, *given, to_x, len(x), torch.get_num_threads())


def refresh(groups: Sequence[PairedLowRank]) -> None:
    """Take over what the adapters' numbers are now."""
    if not groups:
        return
    addresses = (ctypes.c_void_p * len(groups))(*(group.address for group in groups))
    kernels().half_low_rank_refresh(addresses, len(groups), torch.get_num_threads())


def _room(summed_over: int, others: int) -> Tensor:
    """For pairs of neighbours of what a product sums over."""
    return torch.empty((summed_over // 2, others), dtype=torch.int32)
