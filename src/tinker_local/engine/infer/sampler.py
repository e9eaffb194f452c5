"""The next token of every sequence: the likeliest, or a sample that its own seed decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

HEAD, LONGER_HEAD = 64, 1024
"""The likeliest tokens, of which most samples are one, and more of them for the others; sorting a whole
vocabulary takes 20 times longer."""
SMALLEST = 1e-30
"""Temperatures below this are as good as zero."""


@dataclass(frozen=True)
class SamplingSettings:
    """How to choose: `temperature` zero is greedy, `top_k` of -1 or 0 and `top_p` of 1 are off."""

    temperature: float
    top_k: int
    top_p: float
    generator: np.random.Generator


def sample_tokens(scores: Tensor, settings: Sequence[SamplingSettings]) -> list[int]:
    """One token for each row of scores over the vocabulary, float32 [rows, vocab_size]."""
    tokens = cast(list[int], scores.argmax(dim=-1).tolist())
    sampled = [row for row, one in enumerate(settings) if one.temperature != 0]
    if sampled:
        chosen = scores if len(sampled) == len(settings) else scores[sampled]
        for row, token in zip(sampled, _sample(chosen, [settings[row] for row in sampled]), strict=True):
            tokens[row] = token
    return tokens


def _sample(scores: Tensor, settings: Sequence[SamplingSettings]) -> list[int]:
    """Inverse-transform sampling over the tokens that top_k and top_p leave, likeliest first."""
    best, tokens = scores.topk(min(HEAD, scores.shape[1]), dim=-1)
    # The best score is taken off first, so that dividing by a tiny temperature gives no infinity.
    wide = np.array([[max(one.temperature, SMALLEST)] for one in settings])
    coarse = torch.from_numpy(wide).float().to(scores.device)
    masses = (scores - best[:, :1]).div_(coarse).exp_()
    # A row alone would be summed in parts by several threads, and so come out otherwise than in company.
    masses = masses.expand(2, -1) if len(masses) == 1 else masses
    totals = cast(list[float], masses.sum(dim=-1).tolist())
    differences = best.cpu().numpy().astype(np.float64)
    heads = np.exp((differences - differences[:, :1]) / wide)
    chosen: list[int] = []
    for row, one in enumerate(settings):
        point = one.generator.random()
        index = _index_at(heads[row], totals[row], one, point, whole=best.shape == scores.shape)
        if index is not None:
            chosen.append(int(tokens[row, index]))
            continue
        for head in (LONGER_HEAD, scores.shape[1]):
            values, indices = _likeliest(scores[row].double(), head)
            everything = ((values - values[0]) / wide[row, 0]).exp().cpu().numpy()
            index = _index_at(everything, totals[row], one, point, whole=len(values) == scores.shape[1])
            if index is not None:
                chosen.append(int(indices[index]))
                break
        assert index is not None, "the whole vocabulary holds every point"
    return chosen


def _likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At least so many of the best scores of [vocab_size], best first, and their tokens."""
    if count < len(scores):
        return scores.topk(count)
    ordered = torch.sort(scores, descending=True, stable=True)
    return ordered.values, ordered.indices


def _index_at(
    masses: npt.NDArray[np.float64], total: float, one: SamplingSettings, point: float, whole: bool
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
