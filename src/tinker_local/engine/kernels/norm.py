"""Root-mean-square norm (Zhang and Sennrich 2019, arXiv:1910.07467) over the last dimension.

Its mean is taken in float32 whatever the type of the input, as the reference does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, takes_rows


def norm(x: Tensor, weight: Tensor, eps: float, plus: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`x` over its root mean square times `weight`, in the type of `x`; and the inverse root, float32.

    `plus` is added to `x` first, in place.
    """
    if takes_rows(x):
        states, inverse = torch.empty_like(x), x.new_empty((len(x), 1), dtype=torch.float32)
        kernels().half_norm(x, plus, weight, eps, states, inverse, *x.shape, torch.get_num_threads())
        return states, inverse
    if plus is not None:
        x.add_(plus)
    wide = x.float()
    inverse = wide.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return normed(x, inverse, weight), inverse


def normed(x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """The output of `norm` from its inverse root, which is quicker to compute again than to keep."""
    if takes_rows(x):
        states = torch.empty_like(x)
        kernels().half_normed(x, inverse, weight, states, *x.shape, torch.get_num_threads())
        return states
    return (x * inverse).to(x.dtype).mul_(weight)


def norm_backward(
    gradient: Tensor, x: Tensor, inverse: Tensor, weight: Tensor, plus: Tensor | None = None
) -> Tensor:
    """The gradient to `x`, in its type, and `plus` added to it; the weight is frozen and gets none."""
    if takes_rows(x) and gradient.is_contiguous():
        to_x, threads = torch.empty_like(x), torch.get_num_threads()
        kernels().half_norm_backward(gradient, x, inverse, weight, plus, to_x, *x.shape, threads)
        return to_x
    scaled = x * inverse
    wide = (gradient * weight).float()
    along = (wide * scaled).mean(-1, keepdim=True)
    found = torch.addcmul(wide, scaled, along, value=-1).mul_(inverse).to(x.dtype)
    return found if plus is None else found.add_(plus)
