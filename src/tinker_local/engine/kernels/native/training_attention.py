"""Causal attention over whole sequences in training, by training_attention.c."""

from __future__ import annotations

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import Shape, kernels, takes_bfloat16

WIDTHS = 64
"""The width of a head is a multiple of this."""


def can_attend(inputs: Tensor) -> bool:
    """Whether the kernels take queries, keys and values [rows, all heads, width]."""
    return takes_bfloat16(inputs) and inputs.shape[2] % WIDTHS == 0 and inputs.is_contiguous()


def attention(
    inputs: Tensor, shape: Shape, starts: Tensor, lengths: Tensor, longest: int
) -> tuple[Tensor, Tensor]:
    """What rows gather [rows, heads, width], and for the backward pass logarithms of sums [rows, heads].

    `starts` and `lengths` int64 [sequences] are in rows, and the rows of all sequences come first.
    """
    rows = inputs.shape[0]
    output = torch.zeros((rows, shape.heads, shape.width), dtype=inputs.dtype)
    log_sums = torch.zeros((rows, shape.heads))
    kernels().half_attention(
        inputs.data_ptr(),
        shape,
        starts.data_ptr(),
        lengths.data_ptr(),
        len(lengths),
        longest,
        output.data_ptr(),
        log_sums.data_ptr(),
        torch.get_num_threads(),
    )
    return output, log_sums


def attention_backward(
    gradient: Tensor,
    inputs: Tensor,
    log_sums: Tensor,
    shape: Shape,
    starts: Tensor,
    lengths: Tensor,
    longest: int,
) -> Tensor:
    """The gradient to the inputs from that to what was gathered, [rows, heads, width]."""
    output = torch.zeros_like(inputs)
    parts = torch.empty((2, *gradient.shape), dtype=torch.float32)
    # By a name, so that what is copied here is held while it is read.
    gradient = gradient.contiguous()
    kernels().half_attention_backward(
        gradient.data_ptr(),
        inputs.data_ptr(),
        log_sums.data_ptr(),
        shape,
        starts.data_ptr(),
        lengths.data_ptr(),
        len(lengths),
        longest,
        parts.data_ptr(),
        output.data_ptr(),
        inputs.shape[0],
        torch.get_num_threads(),
    )
    return output
