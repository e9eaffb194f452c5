"""Products with a frozen matrix in bfloat16, there and back by one copy of it, by half_matmul.c."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, takes_bfloat16
from tinker_local.engine.kernels.native.panels import LANES

PANEL = 3 * LANES
"""Outputs of a panel; the last of a matrix may have fewer."""


def can_lay_out(weight: Tensor) -> bool:
    """Whether the kernels take this matrix: bfloat16 on the CPU, both sizes a multiple of sixteen."""
    return takes_bfloat16(weight) and weight.dim() == 2 and all(size % LANES == 0 for size in weight.shape)


class HalfMatrix:
    """A matrix [outputs, inputs] in panels, and in these in blocks of two outputs and two inputs."""

    def __init__(self, weight: Tensor) -> None:
        """`can_lay_out` says which matrices can be; this one is copied."""
        self.outputs, self.inputs = weight.shape
        whole = self.outputs // PANEL * PANEL
        last = self.outputs - whole
        self._blocks = torch.cat([_in_blocks(weight[:whole], PANEL), _in_blocks(weight[whole:], last)])

    def forward(self, x: Tensor) -> Tensor:
        """Rows [rows, inputs] times the transposed matrix, [rows, outputs]."""
        output = x.new_empty((x.shape[0], self.outputs))
        kernels().half_matmul(
            self._blocks.data_ptr(),
            self.inputs,
            self.outputs,
            x.data_ptr(),
            x.stride(0),
            output.data_ptr(),
            output.stride(0),
            x.shape[0],
            torch.get_num_threads(),
        )
        return output

    def backward(self, gradient: Tensor) -> Tensor:
        """Rows [rows, outputs] times the matrix, [rows, inputs]."""
        output = gradient.new_empty((gradient.shape[0], self.inputs))
        kernels().half_matmul_back(
            self._blocks.data_ptr(),
            self.inputs,
            self.outputs,
            gradient.data_ptr(),
            gradient.stride(0),
            output.data_ptr(),
            gradient.shape[0],
            torch.get_num_threads(),
        )
        return output


def _in_blocks(weight: Tensor, width: int) -> Tensor:
    """Rows of the matrix in panels so wide, one behind another."""
    split = weight.view(-1, max(1, width // 2), 2, weight.shape[1] // 2, 2)
    return split.permute(0, 3, 1, 4, 2).flatten()
