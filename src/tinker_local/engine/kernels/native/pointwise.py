"""Norm and gate of rows, each as one pass through memory."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels


def add_and_norm(x: Tensor, y: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """Add `y` to `x` float32 [rows, width] in place, and give its root-mean-square norm times `weight`."""
    states = torch.empty_like(x)
    kernels().add_and_norm(x, y, weight, eps, states, *x.shape, torch.get_num_threads())
    return states


def gated(gate_and_up: Tensor) -> Tensor:
    """silu(gate) * up, float32 [rows, width], of both beside each other [rows, 2 * width]."""
    rows, both = gate_and_up.shape
    output = gate_and_up.new_empty((rows, both // 2))
    kernels().gated(gate_and_up, output, rows, both // 2, torch.get_num_threads())
    return output
