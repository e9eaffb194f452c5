"""Products with a frozen matrix in bfloat16, there and back by one copy of it, by half_matmul.c."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, takes_bfloat16
from tinker_local.engine.kernels.native.panels import LANES


def can_lay_out(weight: Tensor) -> bool:
    """Whether the kernels take this matrix: bfloat16 on the CPU, both sizes a multiple of sixteen."""
    return takes_bfloat16(weight) and weight.dim() == 2 and all(size % LANES == 0 for size in weight.shape)


class HalfMatrix:
    """A matrix [outputs, inputs] in blocks of two outputs and two inputs."""

    def __init__(self, weight: Tensor) -> None:
        """`can_lay_out` says which matrices can be; this one is copied."""
        self.outputs, self.inputs = weight.shape
        self._blocks = torch.empty(weight.numel(), dtype=torch.bfloat16)
        kernels().half_lay_out(weight.contiguous(), *weight.shape, self._blocks, torch.get_num_threads())

    def numel(self) -> int:
        """How many numbers it has."""
        return self._blocks.numel()

    @property
    def nbytes(self) -> int:
        """What it takes of memory."""
        return self._blocks.nbytes

    def forward(self, x: Tensor) -> Tensor:
        """Rows [rows, inputs] times the transposed matrix, [rows, outputs]; no row depends on the others."""
        output = x.new_empty((x.shape[0], self.outputs))
        matrix, there = (self._blocks, self.inputs, self.outputs), (output, output.stride(0), len(x))
        kernels().half_matmul(*matrix, x, x.stride(0), *there, torch.get_num_threads())
        return output

    def backward(self, gradient: Tensor) -> Tensor:
        """Rows [rows, outputs] times the matrix, [rows, inputs]."""
        output = gradient.new_empty((gradient.shape[0], self.inputs))
        matrix, back = (self._blocks, self.inputs, self.outputs), (output, len(gradient))
        kernels().half_matmul_back(*matrix, gradient, gradient.stride(0), *back, torch.get_num_threads())
        return output
