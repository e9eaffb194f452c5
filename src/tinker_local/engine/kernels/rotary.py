"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864), in the half-split layout of Hugging Face."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, takes_bfloat16
from tinker_local.engine.kernels.native.panels import LANES


def rotate_(x: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn `x` [rows, heads, head_dim], in place, by angles of its rows, float32 [rows, 1, head_dim / 2]."""
    _rotate(x, cosines, sines, 1)


def rotate_backward_(gradient: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn the gradient back by the same angles, in place."""
    _rotate(gradient, cosines, sines, -1)


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor, direction: int) -> None:
    rows, heads, width = x.shape
    if takes_bfloat16(x) and width % (2 * LANES) == 0 and x.stride()[1:] == (width, 1):
        place, threads = (x, x.stride(0), heads, width), torch.get_num_threads()
        kernels().half_rotate(*place, cosines, sines, direction, rows, threads)
        return
    cosines, sines = cosines.to(x.dtype), sines.to(x.dtype)
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    turned = (first * cosines).addcmul_(second, sines, value=-direction)
    second.mul_(cosines).addcmul_(first, sines, value=direction)
    first.copy_(turned)
