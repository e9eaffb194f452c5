"""The next token of every sequence: the likeliest, or a draw that its own seed decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

HEAD, LONGER_HEAD = 64, 1024
"""The likeliest tokens, of which most draws are one, and more of them for the others; sorting a whole
vocabulary takes 20 times longer."""
SMALLEST = 1e-30
"""Temperatures below this are as good as zero."""


@dataclass(frozen=True)
class Choice:
    """How to choose: `temperature` zero is greedy, `top_k` of -1 or 0 and `top_p` of 1 are off."""

    temperature: float
    top_k: int
    top_p: float
    generator: np.random.Generator


def choose(scores: Tensor, choices: Sequence[Choice]) -> list[int]:
    """One token for each row of scores over the vocabulary, float32 [rows, vocab_size]."""
    tokens = cast(list[int], scores.argmax(dim=-1).tolist())
    drawing = [row for row, choice in enumerate(choices) if choice.temperature != 0]
    if drawing:
        chosen = scores if len(drawing) == len(choices) else scores[drawing]
        for row, token in zip(drawing, _draw(chosen, [choices[row] for row in drawing]), strict=True):
            tokens[row] = token
    return tokens


def _draw(scores: Tensor, choices: Sequence[Choice]) -> list[int]:
    """Inverse-transform sampling over the tokens that top_k and top_p leave, likeliest first."""
    best, tokens = scores.topk(min(HEAD, scores.shape[1]), dim=-1)
    # The best score is taken off first, so that dividing by a tiny temperature gives no infinity.
    wide = np.array([[max(choice.temperature, SMALLEST)] for choice in choices])
    coarse = torch.from_numpy(wide).float().to(scores.device)
    masses = (scores - best[:, :1]).div_(coarse).exp_()
    # A row alone would be summed in parts by several threads, and so come out otherwise than in company.
    masses = masses.expand(2, -1) if len(masses) == 1 else masses
    totals = cast(list[float], masses.sum(dim=-1).tolist())
    differences = best.cpu().numpy().astype(np.float64)
    heads = np.exp((differences - differences[:, :1]) / wide)
    drawn: list[int] = []
    for row, choice in enumerate(choices):
        point = choice.generator.random()
        place = _place(heads[row], totals[row], choice, point, whole=best.shape == scores.shape)
        if place is not None:
            drawn.append(int(tokens[row, place]))
            continue
        for head in (LONGER_HEAD, scores.shape[1]):
            values, indices = _likeliest(scores[row].double(), head)
            everything = ((values - values[0]) / wide[row, 0]).exp().cpu().numpy()
            place = _place(everything, totals[row], choice, point, whole=len(values) == scores.shape[1])
            if place is not None:
                drawn.append(int(indices[place]))
                break
        assert place is not None, "the whole vocabulary holds every draw"
    return drawn


def _likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At least so many of the best scores of [vocab_size], best first, and their tokens."""
    if count < len(scores):
        return scores.topk(count)
    ordered = torch.sort(scores, descending=True, stable=True)
    return ordered.values, ordered.indices


def _place(
    masses: npt.NDArray[np.float64], total: float, choice: Choice, point: float, whole: bool
) -> int | None:
    """Where a point of [0, 1) falls among masses in falling order; `total` counts those left out too.

    None where it may fall on one that was left out; without any, the masses are the `whole`.
    """
    if choice.top_k > 0:
        if choice.top_k > len(masses) and not whole:
            return None
        masses, whole = masses[: choice.top_k], True
    cumulative = masses.cumsum()
    if whole:
        total = float(cumulative[-1])
    if choice.top_p < 1:
        # The smallest set whose mass reaches top_p, so at least one token.
        kept = max(int((cumulative - masses < choice.top_p * total).sum()), 1)
        if kept == len(masses) and not whole:
            return None
        cumulative, whole = cumulative[:kept], True
        total = float(cumulative[-1])
    place = int(np.searchsorted(cumulative, point * total, side="right"))
    if place == len(cumulative):
        return place - 1 if whole else None
    return place
