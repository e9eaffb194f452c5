"""What training computes in bfloat16 between its matrices; `norm.py` and its neighbours say what each is."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, takes_bfloat16
from tinker_local.engine.kernels.native.panels import LANES


def computes(x: Tensor) -> bool:
    """Whether the kernels take this tensor: bfloat16 rows of a multiple of sixteen, one behind another."""
    return takes_bfloat16(x) and x.dim() == 2 and x.shape[1] % LANES == 0 and x.is_contiguous()


def gates(both: Tensor) -> bool:
    """Whether the kernels take gate and up beside each other: each, too, of a multiple of sixteen."""
    return computes(both) and both.shape[1] % (2 * LANES) == 0


def norm(x: Tensor, y: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Add `y` to `x` in place; the normed states, and inverse roots float32 [rows, 1]."""
    states = torch.empty_like(x)
    inverse = x.new_empty((x.shape[0], 1), dtype=torch.float32)
    kernels().half_norm(
        x.data_ptr(),
        None if y is None else y.data_ptr(),
        weight.data_ptr(),
        eps,
        states.data_ptr(),
        inverse.data_ptr(),
        *x.shape,
        torch.get_num_threads(),
    )
    return states, inverse


def normed(x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """The states again."""
    states = torch.empty_like(x)
    kernels().half_normed(
        x.data_ptr(),
        inverse.data_ptr(),
        weight.data_ptr(),
        states.data_ptr(),
        *x.shape,
        torch.get_num_threads(),
    )
    return states


def norm_backward(
    gradient: Tensor, x: Tensor, inverse: Tensor, weight: Tensor, plus: Tensor | None
) -> Tensor:
    """The gradient to `x`, and `plus` added to it."""
    output = torch.empty_like(x)
    kernels().half_norm_backward(
        gradient.data_ptr(),
        x.data_ptr(),
        inverse.data_ptr(),
        weight.data_ptr(),
        None if plus is None else plus.data_ptr(),
        output.data_ptr(),
        *x.shape,
        torch.get_num_threads(),
    )
    return output


def rotate_(x: Tensor, cosines: Tensor, sines: Tensor, direction: int) -> None:
    """Turn `x` [rows, heads, width], whose heads follow each other, by angles [rows, 1, width / 2]."""
    rows, heads, width = x.shape
    kernels().half_rotate(
        x.data_ptr(),
        x.stride(0),
        heads,
        width,
        cosines.data_ptr(),
        sines.data_ptr(),
        direction,
        rows,
        torch.get_num_threads(),
    )


def can_rotate(x: Tensor) -> bool:
    """Whether the kernels take these heads."""
    return takes_bfloat16(x) and x.shape[2] % (2 * LANES) == 0 and x.stride()[1:] == (x.shape[2], 1)


def gated(gate_and_up: Tensor) -> Tensor:
    """silu(gate) * up of both beside each other."""
    rows, both = gate_and_up.shape
    output = gate_and_up.new_empty((rows, both // 2))
    kernels().half_gated(gate_and_up.data_ptr(), output.data_ptr(), rows, both // 2, torch.get_num_threads())
    return output


def gated_backward(gate_and_up: Tensor, gradient: Tensor) -> Tensor:
    """The gradient to both from that to the product."""
    rows, both = gate_and_up.shape
    output = torch.empty_like(gate_and_up)
    kernels().half_gated_backward(
        gate_and_up.data_ptr(),
        gradient.data_ptr(),
        output.data_ptr(),
        rows,
        both // 2,
        torch.get_num_threads(),
    )
    return output


def log_sums(scores: Tensor) -> Tensor:
    """The logarithm of the sum of e to the scores of each row, float32 [rows, 1]."""
    found = scores.new_empty((scores.shape[0], 1), dtype=torch.float32)
    kernels().half_log_sums(scores.data_ptr(), found.data_ptr(), *scores.shape, torch.get_num_threads())
    return found


def score_gradients_(scores: Tensor, sums: Tensor, targets: Tensor, by_logprob: Tensor) -> None:
    """Write over scores the loss's gradient to them, from that to the log-probabilities [rows, k]."""
    targets, by_logprob = targets.contiguous(), by_logprob.contiguous()
    kernels().half_score_gradients(
        scores.data_ptr(),
        sums.data_ptr(),
        targets.data_ptr(),
        by_logprob.data_ptr(),
        targets.shape[1],
        *scores.shape,
        torch.get_num_threads(),
    )
