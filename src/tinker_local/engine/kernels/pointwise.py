"""Norm and rotary embedding, each as one step of the backward pass.

Put together from torch's operations they are a dozen steps each way, which for a small model take longer
than its matrices. These derivatives serve training of all weights (`pretrain/`); that of an adapter goes
through `norm.py` and `rotary.py`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """`x` over the root of the mean of its squares along the last dimension, in the type of `x`."""
    if torch.is_grad_enabled() and x.requires_grad:
        return cast(Any, _RmsNorm).apply(x, eps)
    # The mean is taken in float32 whatever the weights are, as the reference does.
    wide = x.float()
    return (wide * _inverse_root(wide, eps)).to(x.dtype)


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary position embedding in the half-split layout that Hugging Face checkpoints use."""
    if torch.is_grad_enabled() and x.requires_grad:
        return cast(Any, _Rotation).apply(x, cosines, sines)
    return _rotated(x, cosines, sines)


def _inverse_root(wide: Tensor, eps: float) -> Tensor:
    return wide.square().mean(-1, keepdim=True).add_(eps).rsqrt_()


def _rotated(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    swapped = torch.cat((x[..., half:].neg(), x[..., :half]), dim=-1)
    return (x * cosines).add_(swapped * sines)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        wide = x.float()
        inverse = _inverse_root(wide, eps)
        normed = wide * inverse
        ctx.save_for_backward(normed, inverse)
        return normed.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        normed, inverse = ctx.saved_tensors
        wide = gradient.float()
        along = (wide * normed).mean(-1, keepdim=True)
        return torch.addcmul(wide, normed, along, value=-1).mul_(inverse).to(gradient.dtype), None


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(cosines, sines)
        return _rotated(x, cosines, sines)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        # The gradient turns back by the same angle.
        cosines, sines = ctx.saved_tensors
        return _rotated(gradient, cosines, -sines), None, None
