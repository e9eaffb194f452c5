"""A frozen weight [outputs, inputs] as a model holds it: a tensor, or laid out for the kernels in C."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import linear
from tinker_local.engine.kernels.native.half_matmul import HalfMatrix

Weight = Tensor | HalfMatrix


def times(x: Tensor, weight: Weight) -> Tensor:
    """`x` [..., inputs] times the transposed weight, [..., outputs].

    With gradients where they are asked for, as torch does it, if the weight is a tensor.
    """
    if isinstance(weight, Tensor):
        return linear(x, weight)
    assert not (torch.is_grad_enabled() and x.requires_grad), "training goes through `LinearGroup`"
    return weight.forward(x.reshape(-1, weight.inputs).contiguous()).view(*x.shape[:-1], weight.outputs)
