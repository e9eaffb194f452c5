"""Frozen linear layers that read one input, each with a trainable low-rank term beside it.

    y_i = x W_i^T + bias_i + (x A_i^T) scale B_i^T

(LoRA, Hu et al. 2021, arXiv:2106.09685.) The outputs stand beside each other in one tensor, and so do their
gradients. The input is multiplied with all A of a group at once, since these products are small and many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import add_matmul, matmul, matmul_into
from tinker_local.engine.kernels.native.half_matmul import HalfMatrix
from tinker_local.engine.kernels.native.low_rank import Pair, PairedLowRank, can_train
from tinker_local.engine.kernels.native.low_rank import refresh as refresh_pairs


class LowRank:
    """The adapters of a group by torch: they and their gradients are float32, the products of any type."""

    def __init__(
        self, adapters: Sequence[Pair], gradients: Sequence[Pair], scale: float, dtype: torch.dtype
    ) -> None:
        """A [rank, in] and B [out_i, rank] of each layer, and buffers in which their gradients gather."""
        self._adapters = adapters
        self._gradients = gradients
        self._scale = scale
        self._dtype = dtype
        self.refresh()

    def refresh(self) -> None:
        """Take over what the adapters' numbers are now."""
        a = [a.to(self._dtype) for a, _ in self._adapters]
        self._a = a[0] if len(a) == 1 else torch.cat(a)
        self._b = [b.to(self._dtype) for _, b in self._adapters]

    def add_to(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Add the low-rank terms to outputs [rows, all out_i]; `x A^T scale` [rows, layers * rank]."""
        low = _scaled(matmul(x, self._a), self._scale)
        for index, (b, columns) in enumerate(_beside_each_other(self._b)):
            add_matmul(outputs[:, columns], self._part(low, index), b)
        return low

    def backward(self, x: Tensor, low: Tensor, gradient: Tensor, to_x: Tensor | None) -> None:
        """Gather the adapters' gradients, and add to that of the input, where it is wanted, their share."""
        parts: list[Tensor] = []
        for index, (b, columns) in enumerate(_beside_each_other(self._b)):
            mine = gradient[:, columns]
            self._gradients[index][1].add_(mine.t() @ self._part(low, index))
            parts.append(matmul(mine, b.t()))
        to_low = _scaled(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), self._scale)
        to_a = to_low.t() @ x
        for index, (gathered, _) in enumerate(self._gradients):
            gathered.add_(self._part(to_a.t(), index).t())
        if to_x is not None:
            add_matmul(to_x, to_low, self._a.t())

    def _part(self, low: Tensor, index: int) -> Tensor:
        rank = self._b[0].shape[1]
        return low[:, index * rank : (index + 1) * rank]


def low_rank(
    adapters: Sequence[Pair], gradients: Sequence[Pair], scale: float, dtype: torch.dtype
) -> LowRank | PairedLowRank:
    """The adapters of a group as they are computed fastest."""
    if can_train(adapters, dtype):
        return PairedLowRank(adapters, gradients, scale)
    return LowRank(adapters, gradients, scale, dtype)


def refresh(groups: Sequence[LowRank | PairedLowRank]) -> None:
    """Take over what the numbers of all these adapters are now."""
    refresh_pairs([group for group in groups if isinstance(group, PairedLowRank)])
    for group in groups:
        if isinstance(group, LowRank):
            group.refresh()


@dataclass(frozen=True)
class LinearGroup:
    """Frozen weights of layers that read one input, with or without biases and adapters.

    `weights` are a matrix [out_i, in] for each layer, or one of all below each other, which may be laid out
    for the kernels in C. `bias` [all out_i].
    """

    weights: tuple[Tensor, ...] | HalfMatrix
    bias: Tensor | None
    low_rank: LowRank | PairedLowRank | None

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
