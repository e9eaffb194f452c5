"""The gate of a feed-forward layer, silu(gate) * up (Shazeer 2020, arXiv:2002.05202), and its derivative."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, takes_rows


def gated(gate_and_up: Tensor) -> Tensor:
    """The product [rows, width] of both beside each other, [rows, 2 * width]."""
    if takes_rows(gate_and_up, parts=2):
        rows, width = len(gate_and_up), gate_and_up.shape[1] // 2
        product = gate_and_up.new_empty((rows, width))
        kernels().half_gated(gate_and_up, product, rows, width, torch.get_num_threads())
        return product
    gate, up = gate_and_up.chunk(2, dim=1)
    return F.silu(gate).mul_(up)


def gated_backward(gate_and_up: Tensor, gradient: Tensor) -> Tensor:
    """The gradient to both beside each other from that to the product, which is used up."""
    to_both = torch.empty_like(gate_and_up)
    if takes_rows(gate_and_up, parts=2):
        kernels().half_gated_backward(
            gate_and_up, gradient, to_both, *gradient.shape, torch.get_num_threads()
        )
        return to_both
    gate, up = gate_and_up.chunk(2, dim=1)
    to_gate, to_up = to_both.chunk(2, dim=1)
    torch.mul(F.silu(gate), gradient, out=to_up)
    torch.ops.aten.silu_backward.grad_input(gradient.mul_(up), gate, grad_input=to_gate)
    return to_both
