"""The next token of every sequence: the likeliest, or a sample that its own seed decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinker_local.domain.generation import GenerationRequest
from tinker_local.engine.kernels.vocabulary import MOST_BEST, likeliest, token_behind_the_best

HEAD, LONGER_HEAD = MOST_BEST, 1024
"""The likeliest tokens, of which most samples are one, and more of them for the others; sorting a whole
vocabulary takes 20 times longer."""
SMALLEST = 1e-30
"""Temperatures below this are as good as zero."""
Draw = np.random.Generator


@dataclass(frozen=True)
class ScoredRows:
    """Rows of scores over the vocabulary, float32 [rows, vocab_size], and what sampling needs of them."""

    scores: Tensor
    best: npt.NDArray[np.float64]
    """The likeliest tokens' scores, the greatest first [rows, HEAD],"""
    tokens: npt.NDArray[np.int64]
    """and which tokens these are."""
    masses: list[float]
    """What e to (score - best) / temperature adds up to in each row."""
    log_sums: Tensor
    """A score less this one of its row [rows] is a log-probability, before temperature and truncation."""

    @classmethod
    def of(cls, scores: Tensor, temperatures: Sequence[float]) -> ScoredRows:
        """One temperature for each row."""
        coarse = torch.tensor([_above_zero(one) for one in temperatures], device=scores.device)
        found = likeliest(scores, coarse, min(HEAD, scores.shape[1]))
        return cls(
            scores,
            found.scores.cpu().numpy().astype(np.float64),
            found.tokens.cpu().numpy().astype(np.int64),
            cast(list[float], found.masses.tolist()),
            found.log_sums,
        )

    def logprobs(self, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """The log-probability of a token after each of these rows, in nats."""
        chosen = torch.tensor([rows, tokens], device=self.scores.device)
        return cast(list[float], (self.scores[chosen[0], chosen[1]] - self.log_sums[chosen[0]]).tolist())


def _above_zero(temperature: float) -> float:
    """The temperature to divide by; a greedy choice divides by none."""
    return 1.0 if temperature == 0 else max(temperature, SMALLEST)


def sample_tokens(
    scored: ScoredRows, rows: Sequence[int], settings: Sequence[GenerationRequest], draws: Sequence[Draw]
) -> list[int]:
    """A token after each of these rows, of which some may be the same.

    The likeliest, or inverse-transform sampling over the tokens that top_k and top_p leave: likeliest first,
    and where all are left, those behind the likeliest ones in the order of the vocabulary.
    """
    return [_sampled(scored, *one) for one in zip(rows, settings, draws, strict=True)]


def _sampled(scored: ScoredRows, row: int, one: GenerationRequest, draw: Draw) -> int:
    best = scored.best[row]
    if one.temperature == 0:
        return int(scored.tokens[row, 0])
    temperature, vocab_size = _above_zero(one.temperature), scored.scores.shape[1]
    point = draw.random()
    # The best score is taken off first, so that dividing by a tiny temperature gives no infinity.
    head = np.exp((best - best[0]) / temperature)
    index = _index_at(head, scored.masses[row], one, point, whole=len(best) == vocab_size)
    if index is not None:
        return int(scored.tokens[row, index])
    if one.top_k <= 0 and one.top_p == 1:
        tokens = scored.tokens[row].tolist()
        beyond = point * scored.masses[row] - float(head.sum())
        return token_behind_the_best(scored.scores[row], best.tolist(), tokens, temperature, beyond)
    for count in (LONGER_HEAD, vocab_size):
        values, tokens = _likeliest(scored.scores[row].double(), count)
        masses = ((values - values[0]) / temperature).exp().cpu().numpy()
        index = _index_at(masses, scored.masses[row], one, point, whole=len(values) == vocab_size)
        if index is not None:
            return int(tokens[index])
    raise AssertionError("the whole vocabulary holds every point")


def _likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At least so many of the best scores of [vocab_size], best first, and their tokens."""
    if count < len(scores):
        return scores.topk(count)
    ordered = torch.sort(scores, descending=True, stable=True)
    return ordered.values, ordered.indices


def _index_at(
    masses: npt.NDArray[np.float64], total: float, one: GenerationRequest, point: float, whole: bool
) -> int | None:
    """Where a point of [0, 1) falls among masses in falling order; `total` counts those left out too.

    None where it may fall on one that was left out; without any, the masses are the `whole`.
    """
    if one.top_k > 0:
        if one.top_k > len(masses) and not whole:
            return None
        masses, whole = masses[: one.top_k], True
    cumulative = masses.cumsum()
    if whole:
        total = float(cumulative[-1])
    if one.top_p < 1:
        # The smallest set whose mass reaches top_p, so at least one token.
        kept = max(int((cumulative - masses < one.top_p * total).sum()), 1)
        if kept == len(masses) and not whole:
            return None
        cumulative, whole = cumulative[:kept], True
        total = float(cumulative[-1])
    index = int(np.searchsorted(cumulative, point * total, side="right"))
    if index == len(cumulative):
        return index - 1 if whole else None
    return index
