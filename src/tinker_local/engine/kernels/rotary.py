"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864), in the half-split layout of Hugging Face."""

from __future__ import annotations

from torch import Tensor

from tinker_local.engine.kernels.native import training


def rotate_(x: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn `x` [rows, heads, head_dim], in place, by angles of its rows, float32 [rows, 1, head_dim / 2]."""
    _rotate(x, cosines, sines, 1)


def rotate_backward_(gradient: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn the gradient back by the same angles, in place."""
    _rotate(gradient, cosines, sines, -1)


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor, direction: int) -> None:
    if training.can_rotate(x):
        training.rotate_(x, cosines, sines, direction)
        return
    cosines, sines = cosines.to(x.dtype), sines.to(x.dtype)
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    turned = (first * cosines).addcmul_(second, sines, value=-direction)
    second.mul_(cosines).addcmul_(first, sines, value=direction)
    first.copy_(turned)
