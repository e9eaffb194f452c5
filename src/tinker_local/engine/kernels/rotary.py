"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864), in the half-split layout of Hugging Face."""

from __future__ import annotations

from torch import Tensor


def rotate_(x: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn `x` [rows, heads, head_dim], in place, by the angles of its rows, [rows, 1, head_dim / 2] each."""
    _rotate(x, cosines, sines, 1)


def rotate_backward_(gradient: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn the gradient back by the same angles, in place."""
    _rotate(gradient, cosines, sines, -1)


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor, direction: int) -> None:
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    turned = (first * cosines).addcmul_(second, sines, value=-direction)
    second.mul_(cosines).addcmul_(first, sines, value=direction)
    first.copy_(turned)
