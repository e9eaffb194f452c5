"""What is taken from rows of scores over the vocabulary, by the kernels in C."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, library
from tinker_local.engine.kernels.native.panels import LANES


def computes(scores: Tensor) -> bool:
    """Whether these are scores that the kernels take, and they are there."""
    return scores.dtype == torch.float32 and scores.device.type == "cpu" and library() is not None


def log_sums(scores: Tensor) -> Tensor:
    """The logarithm of the sum of e to each score, [rows] of float32 [rows, vocab_size]."""
    scores = scores.contiguous()
    sums = scores.new_empty(len(scores))
    kernels().log_sums(scores.data_ptr(), sums.data_ptr(), *scores.shape, torch.get_num_threads())
    return sums


def likeliest(scores: Tensor, temperatures: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best of each row, greatest first, their tokens (int32), masses and logarithms of sums.

    As `kernels.vocabulary.likeliest` says, which stands before this.
    """
    scores = scores.contiguous()
    rows, width = scores.shape
    best = scores.new_empty((rows, count))
    tokens = torch.empty((rows, count), dtype=torch.int32)
    masses, sums = scores.new_empty(rows), scores.new_empty(rows)
    values = scores.new_empty((rows, width + LANES))
    numbers = torch.empty((rows, width + LANES), dtype=torch.int32)
    kernels().likeliest(
        *(one.data_ptr() for one in (scores, temperatures)),
        count,
        *(one.data_ptr() for one in (best, tokens, masses, sums, values, numbers)),
        rows,
        width,
        torch.get_num_threads(),
    )
    return best, tokens, masses, sums


def place_at(scores: Tensor, temperature: float, peak: float, least: float, behind: int, point: float) -> int:
    """As place_at of vocabulary.c, for scores [vocab_size]."""
    found = ctypes.c_long()
    kernels().place_at(
        *(scores.data_ptr(), len(scores), peak, temperature, least, behind, point, ctypes.byref(found))
    )
    return found.value
