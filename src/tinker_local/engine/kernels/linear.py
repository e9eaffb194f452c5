"""Frozen linear layers that read one input, each with a trainable low-rank term beside it.

    y_i = x W_i^T + bias_i + (x A_i^T) scale B_i^T

(LoRA, Hu et al. 2021, arXiv:2106.09685.) The outputs stand beside each other in one tensor, and so do their
gradients. The input is multiplied with all A of a group at once, since these products are small and many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import add_matmul, matmul, matmul_into
from tinker_local.engine.kernels.native.half_matmul import HalfMatrix
from tinker_local.engine.kernels.native.low_rank import PairedLowRank, can_train


@dataclass(frozen=True)
class LowRank:
    """The adapters of a group in the type that is computed in, and the float32 buffers of their gradients.

    `a` [layers * rank, in] holds all A below each other, and `b` a matrix [out_i, rank] for each layer.
    """

    a: Tensor
    b: tuple[Tensor, ...]
    scale: float
    a_gradients: tuple[Tensor, ...]
    b_gradients: tuple[Tensor, ...]

    def add_to(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Add the low-rank terms to outputs [rows, all out_i]; `x A^T scale` [rows, layers * rank]."""
        if self._paired is not None:
            return self._paired.add_to(outputs, x)
        low = _scaled(matmul(x, self.a), self.scale)
        for index, (b, columns) in enumerate(_beside_each_other(self.b)):
            add_matmul(outputs[:, columns], self._part(low, index), b)
        return low

    def backward(self, x: Tensor, low: Tensor, gradient: Tensor, to_x: Tensor | None) -> None:
        """Gather the adapters' gradients, and add to that of the input, where it is wanted, their share."""
        if self._paired is not None:
            self._paired.backward(x, low, gradient, to_x)
            return
        parts: list[Tensor] = []
        for index, (b, columns) in enumerate(_beside_each_other(self.b)):
            mine = gradient[:, columns]
            self.b_gradients[index].add_(mine.t() @ self._part(low, index))
            parts.append(matmul(mine, b.t()))
        to_low = _scaled(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), self.scale)
        to_a = to_low.t() @ x
        for index, gathered in enumerate(self.a_gradients):
            gathered.add_(to_a[index * self._rank : (index + 1) * self._rank])
        if to_x is not None:
            add_matmul(to_x, to_low, self.a.t())

    @cached_property
    def _paired(self) -> PairedLowRank | None:
        """The same by the kernels in C, where they can."""
        if not can_train(self.a, self.b):
            return None
        return PairedLowRank(self.a, self.b, self.scale, self.a_gradients, self.b_gradients)

    @property
    def _rank(self) -> int:
        return self.b[0].shape[1]

    def _part(self, low: Tensor, index: int) -> Tensor:
        return low[:, index * self._rank : (index + 1) * self._rank]


@dataclass(frozen=True)
class LinearGroup:
    """Frozen weights of layers that read one input, with or without biases and adapters.

    `weights` are a matrix [out_i, in] for each layer, or one of all below each other, which may be laid out
    for the kernels in C. `bias` [all out_i].
    """

    weights: tuple[Tensor, ...] | HalfMatrix
    bias: Tensor | None
    low_rank: LowRank | None

    @property
    def outputs(self) -> int:
        """Those of all layers together."""
        if isinstance(self.weights, HalfMatrix):
            return self.weights.outputs
        return sum(len(weight) for weight in self.weights)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Outputs [rows, all out_i] of rows [rows, in], and what `backward` needs of the adapters."""
        if isinstance(self.weights, HalfMatrix):
            outputs = self.weights.forward(x)
        elif len(self.weights) == 1:
            outputs = matmul(x, self.weights[0])
        else:
            outputs = x.new_empty((len(x), self.outputs))
            for weight, columns in _beside_each_other(self.weights):
                matmul_into(outputs[:, columns], x, weight)
        low: Tensor | None = None
        if self.low_rank is not None:
            low = self.low_rank.add_to(outputs, x)
        if self.bias is not None:
            outputs.add_(self.bias)
        return outputs, low

    def backward(self, x: Tensor, low: Tensor | None, gradient: Tensor) -> Tensor:
        """The gradient to the input [rows, in] from that to the outputs; the adapters' is gathered."""
        to_x = self._to_input(gradient)
        if low is not None and self.low_rank is not None:
            self.low_rank.backward(x, low, gradient, to_x)
        return to_x

    def _to_input(self, gradient: Tensor) -> Tensor:
        if isinstance(self.weights, HalfMatrix):
            return self.weights.backward(gradient)
        (first, columns), *others = _beside_each_other(self.weights)
        to_x = matmul(gradient[:, columns], first.t())
        for weight, columns in others:
            add_matmul(to_x, gradient[:, columns], weight.t())
        return to_x

    def backward_to_adapters(self, x: Tensor, low: Tensor | None, gradient: Tensor) -> None:
        """As `backward`, where nobody needs the gradient to the input."""
        if low is not None and self.low_rank is not None:
            self.low_rank.backward(x, low, gradient, None)


def _beside_each_other(matrices: Sequence[Tensor]) -> Iterator[tuple[Tensor, slice]]:
    """Matrices [out_i, ...] with the columns that their outputs have."""
    start = 0
    for matrix in matrices:
        yield matrix, slice(start, start := start + len(matrix))


def _scaled(low: Tensor, scale: float) -> Tensor:
    return low if scale == 1.0 else low.mul_(scale)
