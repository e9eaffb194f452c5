"""Prompts read together: their last states, what is asked about them, and the cache behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tinker_local.engine.generation import GenerationRequest
from tinker_local.engine.llama import KeyValueCache, Llama, Projection
from tinker_local.engine.prefixes import TokenTree, token_trees
from tinker_local.engine.products import rounded_up
from tinker_local.engine.prompt_scoring import Draws, continuation_logprobs, score_widely
from tinker_local.engine.threads import use_threads_for
from tinker_local.wire.samples import PromptScores

PROMPT_STREAM = 2**32
"""Draws along a prompt have a random stream of their own, apart from those of the numbered samples."""
LENGTHS_APART = 16
"""Trees are read at a multiple of this length, since the kernels of a new length take 5 ms to prepare."""


@dataclass(frozen=True)
class Reading:
    """Prompts after they were read, in their order.

    `last` [prompts, hidden] are the states of their last tokens. `places` say for each prompt that is
    continued which cache it stands in and where, int64 [len(prompt)].
    """

    last: Tensor
    scores: list[PromptScores]
    places: list[tuple[KeyValueCache, Tensor] | None]


def read_prompts(model: Llama, project: Projection, requests: Sequence[GenerationRequest]) -> Reading:
    """Read every request's prompt, what they have in common once."""
    last: dict[int, Tensor] = {}
    scores: dict[int, PromptScores] = {}
    places: dict[int, tuple[KeyValueCache, Tensor] | None] = {}
    for tree in token_trees([request.prompt for request in requests]):
        mine = [requests[index] for index in tree.indices]
        continues = any(request.max_tokens > 1 for request in mine)
        cache = KeyValueCache(model, 1, rounded_up(len(tree.tokens), LENGTHS_APART)) if continues else None
        states = _read_tree(model, project, tree, cache)
        scored = _score_prompts(model, project, mine, tree, states)
        for index, request, path, score in zip(tree.indices, mine, tree.paths, scored, strict=True):
            last[index], scores[index] = states[path[-1]], score
            places[index] = None
            if cache is not None and request.max_tokens > 1:
                places[index] = (cache, torch.tensor(path, device=model.device))
    order = range(len(requests))
    return Reading(
        torch.stack([last[index] for index in order]),
        [scores[index] for index in order],
        [places[index] for index in order],
    )


def _read_tree(model: Llama, project: Projection, tree: TokenTree, cache: KeyValueCache | None) -> Tensor:
    """The state [tokens or more, hidden] of every token of a tree; what is beyond them is padding."""
    padding = [0] * (rounded_up(len(tree.tokens), LENGTHS_APART) - len(tree.tokens))
    tokens = torch.tensor([tree.tokens + padding], device=model.device)
    depths = torch.tensor([tree.depths + padding], device=model.device)
    use_threads_for(model.num_parameters, tokens.numel())
    mask = None
    if not tree.is_chain:
        mask = torch.eye(tokens.numel(), dtype=torch.bool)
        mask[: len(tree.tokens), : len(tree.tokens)] = torch.from_numpy(tree.ancestry())
        mask = mask[None].to(model.device)
    return model.hidden(tokens, project, cache, depths, mask)[0]


def _score_prompts(
    model: Llama,
    project: Projection,
    requests: Sequence[GenerationRequest],
    tree: TokenTree,
    states: Tensor,
) -> list[PromptScores]:
    """What each request asks about its prompt; no token is scored twice for the same beginning."""
    asked = [
        path[max(request.scored_from, 1) :] if request.prompt_logprobs else []
        for request, path in zip(requests, tree.paths, strict=True)
    ]
    known = np.full(len(tree.tokens), np.nan, dtype=np.float32)
    wanted = np.unique(np.array([place for places in asked for place in places], dtype=np.int64))
    if len(wanted):
        before = torch.from_numpy(np.array(tree.parents)[wanted]).to(model.device)
        targets = torch.from_numpy(np.array(tree.tokens)[wanted]).to(model.device)
        known[wanted] = continuation_logprobs(model, project, states, before, targets).cpu().numpy()
    scores: list[PromptScores] = []
    for request, path, places in zip(requests, tree.paths, asked, strict=True):
        mine = PromptScores()
        if request.top_prompt_logprobs or request.named_prompt_tokens is not None or request.prompt_draws:
            generator = np.random.default_rng([request.seed, PROMPT_STREAM])
            mine = score_widely(
                model,
                project,
                states[path[:-1]],
                request.top_prompt_logprobs,
                request.named_prompt_tokens,
                Draws(request.prompt_draws, request.temperature, generator) if request.prompt_draws else None,
            )
        if request.prompt_logprobs:
            logprobs = np.full(len(path), np.nan, dtype=np.float32)
            if places:
                logprobs[-len(places) :] = known[places]
            mine = replace(mine, logprobs=logprobs)
        scores.append(mine)
    return scores
