"""The adapters of layers that read one input, in training, by low_rank.c."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.matmul import rounded_up
from tinker_local.engine.kernels.native.library import MOST_LAYERS, LowRankStructure, kernels, takes_bfloat16
from tinker_local.engine.kernels.native.panels import LANES

EIGHT = 8
"""Rows of a gradient that are summed up together."""


def can_train(a: Tensor, b: Sequence[Tensor]) -> bool:
    """Whether the kernels take adapters of these shapes: bfloat16, ranks by eights and widths by sixteens."""
    sizes = (a.shape[1], *(len(matrix) for matrix in b))
    return (
        takes_bfloat16(a)
        and len(b) <= MOST_LAYERS
        and b[0].shape[1] % EIGHT == 0
        and all(size % LANES == 0 for size in sizes)
    )


class PairedLowRank:
    """All A below each other [layers * rank, inputs], a B [outputs_i, rank] for each layer, and gradients.

    The gradients, float32, are those of each A and B, contiguous; what is computed is added to them.
    """

    def __init__(
        self,
        a: Tensor,
        b: Sequence[Tensor],
        scale: float,
        a_gradients: Sequence[Tensor],
        b_gradients: Sequence[Tensor],
    ) -> None:
        """`can_train` says whether these can be taken."""
        rank = b[0].shape[1]
        padded = rounded_up(rank, LANES)
        if padded > rank:
            a = F.pad(a.view(len(b), rank, -1), (0, 0, 0, padded - rank)).flatten(0, 1)
            b = [F.pad(matrix, (0, padded - rank)) for matrix in b]
        paired = [_pairs(matrix) for matrix in (a, *b)]
        # What the structure points to is held as long as it.
        self._held = [*paired, *a_gradients, *b_gradients]
        self.width = len(a)
        pointers = ctypes.c_void_p * MOST_LAYERS
        self._structure = LowRankStructure(
            layers=len(b),
            rank=rank,
            padded=padded,
            inputs=a.shape[1],
            scale=scale,
            a_columns=paired[0][0].data_ptr(),
            a_rows=paired[0][1].data_ptr(),
            b_columns=pointers(*(columns.data_ptr() for columns, _ in paired[1:])),
            b_rows=pointers(*(rows.data_ptr() for _, rows in paired[1:])),
            outputs=(ctypes.c_long * MOST_LAYERS)(*(len(matrix) for matrix in b)),
            a_gradients=pointers(*(one.data_ptr() for one in a_gradients)),
            b_gradients=pointers(*(one.data_ptr() for one in b_gradients)),
        )
        self._address = ctypes.addressof(self._structure)

    def add_to(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Add the adapters' terms to outputs [rows, all outputs_i]; gives the input through all A."""
        low = x.new_empty((x.shape[0], self.width))
        kernels().half_low_rank(
            self._address,
            x.data_ptr(),
            low.data_ptr(),
            outputs.data_ptr(),
            outputs.stride(0),
            x.shape[0],
            torch.get_num_threads(),
        )
        return low

    def backward(self, x: Tensor, low: Tensor, gradient: Tensor, to_x: Tensor | None) -> None:
        """Gather the gradients from that to the outputs, and add to that of the input, where it is wanted."""
        kernels().half_low_rank_backward(
            self._address,
            x.data_ptr(),
            low.data_ptr(),
            gradient.data_ptr(),
            gradient.stride(0),
            None if to_x is None else to_x.data_ptr(),
            x.shape[0],
            torch.get_num_threads(),
        )


def _pairs(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix in pairs of neighbouring columns and of neighbouring rows."""
    rows, columns = matrix.shape
    by_columns = torch.empty((columns // 2, rows), dtype=torch.int32)
    by_rows = torch.empty((rows // 2, columns), dtype=torch.int32)
    kernels().half_pairs(
        matrix.contiguous().data_ptr(),
        rows,
        columns,
        by_columns.data_ptr(),
        by_rows.data_ptr(),
        torch.get_num_threads(),
    )
    return by_columns, by_rows
