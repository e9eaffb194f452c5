"""Log-probabilities of prompts: of the tokens that stand there, of the likeliest, and of named others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinker_local.engine.llama import Llama, Projection
from tinker_local.engine.losses import target_logprobs
from tinker_local.wire.samples import TopLogprobs

TOKENS_AT_ONCE = 2048
"""Scores over the vocabulary are made for this many tokens at a time, to bound memory."""

Array = npt.NDArray[Any]

EMPTY_CELL = -99999.0


def continuation_logprobs(model: Llama, project: Projection, states: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target [n] after the state [n, hidden] before it."""
    pieces: list[Tensor] = []
    for start in range(0, len(targets), TOKENS_AT_ONCE):
        chosen = slice(start, start + TOKENS_AT_ONCE)
        pieces.append(target_logprobs(model.logits(states[chosen], project), targets[chosen]))
    return torch.cat(pieces) if pieces else torch.zeros(0)


def score_widely(
    model: Llama, project: Projection, states: Tensor, top_k: int, named: Array | None
) -> tuple[TopLogprobs | None, Array | None]:
    """The `top_k` likeliest next tokens, and those in `named` [n - 1, k] (-1 for none), after each state.

    `states` [n - 1, hidden] are those of every token but the last.
    """
    ids: list[Array] = [np.zeros((1, top_k), dtype=np.int32)]
    values: list[Array] = [np.full((1, top_k), EMPTY_CELL, dtype=np.float32)]
    scored = None if named is None else np.zeros(named.shape, dtype=np.float32)
    for start in range(0, len(states), TOKENS_AT_ONCE):
        chosen = slice(start, start + TOKENS_AT_ONCE)
        logprobs = torch.log_softmax(model.logits(states[chosen], project), dim=-1)
        if top_k:
            best = logprobs.topk(top_k, dim=-1)
            ids.append(best.indices.int().cpu().numpy())
            values.append(best.values.cpu().numpy())
        if named is not None and scored is not None:
            wanted = torch.from_numpy(named[chosen]).to(logprobs.device)
            found = logprobs.gather(1, wanted.clamp(min=0)).cpu().numpy()
            scored[chosen] = np.where(named[chosen] >= 0, found, 0.0)
    top = TopLogprobs(np.concatenate(ids), np.concatenate(values)) if top_k else None
    return top, scored
