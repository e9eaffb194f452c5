"""What is taken from rows of scores over the vocabulary: what e to them adds up to, and the best of them.

Each row comes out alike in any company of other rows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import kernels, library
from tinker_local.engine.kernels.native.panels import LANES

MOST_BEST = 64
"""As many of the best as `likeliest` can be asked for."""


@dataclass(frozen=True)
class Likeliest:
    """Of each row its best scores, the greatest first, and what all of its scores add up to."""

    scores: Tensor
    """float32 [rows, count]"""
    tokens: Tensor
    """Whose scores they are, integers [rows, count]."""
    masses: Tensor
    """The sum of e to (score - best) / temperature, float32 [rows]."""
    log_sums: Tensor
    """The logarithm of the sum of e to each score, float32 [rows]; no number where a score is none."""


def _is_for_kernels(scores: Tensor) -> bool:
    return scores.dtype == torch.float32 and scores.device.type == "cpu" and library() is not None


def log_sums(scores: Tensor) -> Tensor:
    """The logarithm of the sum of e to each score, [rows] of float32 [rows, vocab_size].

    A score less this is a log-probability in nats.
    """
    if _is_for_kernels(scores):
        scores = scores.contiguous()
        sums = scores.new_empty(len(scores))
        kernels().log_sums(scores, sums, *scores.shape, torch.get_num_threads())
        return sums
    # A row alone would be summed in parts by several threads, and so come out otherwise than in company.
    return _at_least_two(scores).logsumexp(dim=-1)[: len(scores)]


def likeliest(scores: Tensor, temperatures: Tensor, count: int) -> Likeliest:
    """The best `count` of each row of scores, float32 [rows, vocab_size], at most `MOST_BEST` and all.

    `temperatures` is float32 [rows], each above zero.
    """
    if _is_for_kernels(scores):
        scores, (rows, width) = scores.contiguous(), scores.shape
        masses, sums = scores.new_empty((2, rows))
        best, room = scores.new_empty((rows, count)), scores.new_empty((rows, width + LANES))
        tokens, numbers = (torch.empty(one.shape, dtype=torch.int32) for one in (best, room))
        found = (best, tokens, masses, sums)
        sizes = (rows, width, torch.get_num_threads())
        kernels().likeliest(scores, temperatures, count, *found, room, numbers, *sizes)
        return Likeliest(*found)
    best, tokens = scores.topk(count, dim=-1)
    masses = (scores - best[:, :1]).div_(temperatures[:, None]).exp_()
    return Likeliest(best, tokens, _at_least_two(masses).sum(dim=-1)[: len(scores)], log_sums(scores))


def token_behind_the_best(
    scores: Tensor, best: Sequence[float], tokens: Sequence[int], temperature: float, point: float
) -> int:
    """The token, of all but the best ones, whose part of their mass holds `point`, in the vocabulary's order.

    `scores` are float32 [vocab_size], `best` and `tokens` those of `likeliest`; a mass is e to (score - the
    best) / temperature. So nothing has to be sorted, of which a flat distribution would need much.
    """
    peak, least = best[0], best[-1]
    behind = max(token for token, score in zip(tokens, best, strict=True) if score == least)
    if _is_for_kernels(scores):
        place = ctypes.c_long()
        sizes = (peak, temperature, least, behind, point)
        kernels().place_at(scores, len(scores), *sizes, ctypes.byref(place))
        return place.value
    masses = ((scores - peak) / temperature).exp_().double()
    masses[list(tokens)] = 0
    found = int(torch.searchsorted(masses.cumsum(0), point, right=True))
    if found < len(scores):
        return found
    left = masses.nonzero()
    return int(left[-1]) if len(left) else behind


def _at_least_two(rows: Tensor) -> Tensor:
    return rows.expand(2, -1) if len(rows) == 1 else rows
