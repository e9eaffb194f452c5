"""Log-probabilities of prompts: of the tokens that stand there, of the likeliest, of named and drawn ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinker_local.engine.llama import Llama, Projection
from tinker_local.wire.samples import PromptScores, TokenLogprobs

TOKENS_AT_ONCE = 256
"""Scores over the vocabulary are made for this many tokens at a time, which bounds memory."""
ROWS_AT_ONCE = 128
"""And drawn from for this many."""

Array = npt.NDArray[Any]

EMPTY_CELL = -99999.0


def continuation_logprobs(
    model: Llama, project: Projection, states: Tensor, before: Tensor, targets: Tensor
) -> Tensor:
    """Log-probability of each target [n] after the state [tokens, hidden] that stands at `before` [n].

    A state that several targets follow is scored over the vocabulary once.
    """
    distinct, rows = cast(tuple[Tensor, Tensor], torch.unique(before, return_inverse=True))
    logprobs = torch.zeros(len(targets), device=states.device)
    for start in range(0, len(distinct), TOKENS_AT_ONCE):
        chosen = distinct[start : start + TOKENS_AT_ONCE]
        scored = torch.log_softmax(model.logits(states[chosen], project), dim=-1)
        mine = (rows >= start) & (rows < start + TOKENS_AT_ONCE)
        logprobs[mine] = scored[rows[mine] - start, targets[mine]]
    return logprobs


@dataclass(frozen=True)
class Draws:
    """How many tokens to draw at each position of a prompt, and how; temperature zero is greedy."""

    count: int
    temperature: float
    generator: np.random.Generator


def score_widely(
    model: Llama, project: Projection, states: Tensor, top_k: int, named: Array | None, draws: Draws | None
) -> PromptScores:
    """What is asked of each next token: the `top_k` likeliest, those in `named` (-1 for none), and draws.

    `states` [n - 1, hidden] are those of every token but the last, and `named` is [n - 1, k].
    """
    if named is not None and not top_k and draws is None:
        return PromptScores(named=_score_named(model, project, states, named))
    top = [_cells(np.zeros((1, top_k)), np.full((1, top_k), EMPTY_CELL))]
    count = draws.count if draws else 0
    drawn = [_cells(np.zeros((0, count)), np.zeros((0, count)))]
    scored = None if named is None else np.zeros(named.shape, dtype=np.float32)
    for start in range(0, len(states), TOKENS_AT_ONCE):
        chosen = slice(start, start + TOKENS_AT_ONCE)
        scores = model.logits(states[chosen], project)
        logprobs = torch.log_softmax(scores, dim=-1)
        if top_k:
            best = logprobs.topk(top_k, dim=-1)
            top.append(_cells(best.indices.cpu().numpy(), best.values.cpu().numpy()))
        if named is not None and scored is not None:
            wanted = torch.from_numpy(named[chosen]).to(logprobs.device)
            found = logprobs.gather(1, wanted.clamp(min=0)).cpu().numpy()
            scored[chosen] = np.where(named[chosen] >= 0, found, 0.0)
        if draws:
            tokens = _draw(scores, draws)
            drawn.append(_cells(tokens.cpu().numpy(), logprobs.gather(1, tokens).cpu().numpy()))
    return PromptScores(
        top=_joined(top) if top_k else None, named=scored, drawn=_joined(drawn) if draws else None
    )


def _score_named(model: Llama, project: Projection, states: Tensor, named: Array) -> Array:
    """Log-probabilities float32 [n - 1, k] of the named tokens; places that name none are not computed."""
    scored = np.zeros(named.shape, dtype=np.float32)
    wanted = np.flatnonzero((named >= 0).any(axis=1))
    for start in range(0, len(wanted), TOKENS_AT_ONCE):
        rows = wanted[start : start + TOKENS_AT_ONCE]
        chosen = states[torch.from_numpy(rows).to(states.device)]
        logprobs = torch.log_softmax(model.logits(chosen, project), dim=-1)
        tokens = torch.from_numpy(named[rows]).to(logprobs.device)
        found = logprobs.gather(1, tokens.clamp(min=0)).cpu().numpy()
        scored[rows] = np.where(named[rows] >= 0, found, 0.0)
    return scored


def _draw(scores: Tensor, draws: Draws) -> Tensor:
    """Independent draws, int64 [n, count], from scores over the vocabulary [n, vocab_size]."""
    if draws.temperature == 0:
        return scores.argmax(dim=-1, keepdim=True).expand(-1, draws.count)
    pieces: list[Tensor] = []
    # A few rows at a time, since double precision takes twice the memory of the scores.
    for rows in torch.split(scores, ROWS_AT_ONCE):
        # The best score is taken off first, so that dividing by a tiny temperature gives no infinity.
        wide = (rows - rows.amax(dim=-1, keepdim=True)).double() / draws.temperature
        cumulative = torch.softmax(wide, dim=-1).cumsum(dim=-1)
        points = torch.from_numpy(draws.generator.random((len(rows), draws.count))).to(scores.device)
        found = torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True)
        pieces.append(found.clamp(max=scores.shape[1] - 1))
    return torch.cat(pieces)


def _cells(token_ids: Array, logprobs: Array) -> TokenLogprobs:
    return TokenLogprobs(token_ids.astype(np.int32), logprobs.astype(np.float32))


def _joined(parts: Sequence[TokenLogprobs]) -> TokenLogprobs:
    return TokenLogprobs(
        np.concatenate([part.token_ids for part in parts]), np.concatenate([part.logprobs for part in parts])
    )
