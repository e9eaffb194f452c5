"""Generation and prompt scoring. Requests that share weights run as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from tinker_local.engine.llama import KeyValueCache, Llama, Projection
from tinker_local.engine.losses import target_logprobs
from tinker_local.errors import RequestError
from tinker_local.wire.datums import SampledSequence

SCORED_TOKENS_AT_ONCE = 2048
"""Prompt scores over the vocabulary are made for this many tokens at a time, to bound memory."""


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt and how to continue it.

    `temperature` zero is greedy; `top_k` of -1 or 0 and `top_p` of 1 are off. `stop_tokens` end a
    sequence with one token, `stop_strings` with text; what stopped it is part of the output.
    """

    prompt: tuple[int, ...]
    num_samples: int
    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    seed: int
    stop_tokens: frozenset[int]
    stop_strings: tuple[str, ...]
    prompt_logprobs: bool


@dataclass(frozen=True)
class GenerationResult:
    """The continuations of one request; prompt log-probabilities are float32, the first NaN."""

    sequences: tuple[SampledSequence, ...]
    prompt_logprobs: np.ndarray | None


@dataclass
class _Row:
    """One sequence while it grows."""

    request: GenerationRequest
    generator: np.random.Generator
    tokens: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    stopped: bool = False

    @property
    def finished(self) -> bool:
        return self.stopped or len(self.tokens) >= self.request.max_tokens


@torch.no_grad()
def generate(
    model: Llama, project: Projection, tokenizer: Tokenizer, requests: Sequence[GenerationRequest]
) -> list[GenerationResult]:
    """Continue every prompt. A row's draws depend on its own seed and place, not on the batch around it."""
    device = model.device
    lengths = torch.tensor([len(request.prompt) for request in requests], device=device)
    longest = int(lengths.max())
    tokens = torch.zeros((len(requests), longest), dtype=torch.int64)
    for index, request in enumerate(requests):
        tokens[index, : len(request.prompt)] = torch.tensor(request.prompt)
    tokens = tokens.to(device)
    positions = torch.arange(longest, device=device).expand(len(requests), -1)
    # Every prompt is read once; its samples then start from copies of its keys and values.
    capacity = max(len(request.prompt) + request.max_tokens for request in requests)
    cache = KeyValueCache(model, len(requests), capacity)
    hidden = model.hidden(tokens, project, cache, positions)
    prompt_logprobs = [
        _score_prompt(model, project, hidden[index], request) if request.prompt_logprobs else None
        for index, request in enumerate(requests)
    ]
    last = hidden[torch.arange(len(requests), device=device), lengths - 1]

    copies = torch.tensor([request.num_samples for request in requests], device=device)
    if int(copies.max()) > 1:
        cache.keys = cache.keys.repeat_interleave(copies, dim=1)
        cache.values = cache.values.repeat_interleave(copies, dim=1)
    rows = [
        _Row(request, np.random.default_rng([request.seed, sample]))
        for request in requests
        for sample in range(request.num_samples)
    ]
    place = lengths.repeat_interleave(copies)
    scores = model.logits(last, project).repeat_interleave(copies, dim=0)
    _extend(rows, scores, tokenizer)
    live = list(range(len(rows)))
    while True:
        still = [slot for slot, row in enumerate(live) if not rows[row].finished]
        if not still:
            break
        if len(still) < len(live):
            # Finished rows leave the batch, so a long straggler does not pay for them.
            kept = torch.tensor(still, device=device)
            cache.keys, cache.values = cache.keys[:, kept], cache.values[:, kept]
            place = place[kept]
            live = [live[slot] for slot in still]
        newest = torch.tensor([[rows[row].tokens[-1]] for row in live], device=device)
        hidden = model.hidden(newest, project, cache, place[:, None])
        place = place + 1
        _extend([rows[row] for row in live], model.logits(hidden[:, 0], project), tokenizer)

    results: list[GenerationResult] = []
    start = 0
    for request, scored in zip(requests, prompt_logprobs, strict=True):
        mine = rows[start : start + request.num_samples]
        start += request.num_samples
        sequences = tuple(SampledSequence(row.tokens, row.logprobs, row.stopped) for row in mine)
        results.append(GenerationResult(sequences, scored))
    return results


def _score_prompt(
    model: Llama, project: Projection, hidden: Tensor, request: GenerationRequest
) -> np.ndarray:
    """Log-probability of each prompt token given those before it; NaN for the first."""
    targets = torch.tensor(request.prompt[1:], device=hidden.device)
    pieces = [torch.tensor([float("nan")])]
    for start in range(0, len(targets), SCORED_TOKENS_AT_ONCE):
        chosen = slice(start, min(start + SCORED_TOKENS_AT_ONCE, len(targets)))
        pieces.append(target_logprobs(model.logits(hidden[chosen], project), targets[chosen]).cpu())
    return torch.cat(pieces).numpy()


def _extend(rows: Sequence[_Row], scores: Tensor, tokenizer: Tokenizer) -> None:
    """Choose one more token for every row from scores [rows, vocab_size], float32."""
    logprobs = torch.log_softmax(scores, dim=-1)
    if bool(logprobs.isnan().any()):
        raise RequestError("The weights score tokens with no number, as diverged training leaves them.")
    greedy = cast(list[int], logprobs.argmax(dim=-1).tolist())
    for index, row in enumerate(rows):
        request = row.request
        token = greedy[index] if request.temperature == 0 else _draw(scores[index], request, row.generator)
        row.tokens.append(token)
        # The reported log-probability is the model's own, before temperature and truncation.
        row.logprobs.append(float(logprobs[index, token]))
        row.stopped = token in request.stop_tokens or _ends_with_stop(row, tokenizer)


def _draw(scores: Tensor, request: GenerationRequest, generator: np.random.Generator) -> int:
    """Inverse-transform sampling over the tokens that top_k and top_p leave."""
    ordered, tokens = torch.sort(scores.double(), descending=True, stable=True)
    # The best score is taken off first, so that dividing by a tiny temperature gives no infinity.
    ordered = (ordered - ordered[0]) / request.temperature
    if request.top_k > 0:
        ordered, tokens = ordered[: request.top_k], tokens[: request.top_k]
    probabilities = torch.softmax(ordered, dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    if request.top_p < 1:
        # The smallest set whose mass reaches top_p, so at least one token.
        kept = int((cumulative - probabilities < request.top_p).sum())
        cumulative = cumulative[:kept]
    point = generator.random() * float(cumulative[-1])
    chosen = int(torch.searchsorted(cumulative, torch.tensor(point, dtype=torch.float64), right=True))
    return int(tokens[min(chosen, len(cumulative) - 1)])


def _ends_with_stop(row: _Row, tokenizer: Tokenizer) -> bool:
    if not row.request.stop_strings:
        return False
    # A token is at least one byte, so this many of them surely hold the longest stop string.
    tail = max(len(text.encode()) for text in row.request.stop_strings) + 1
    text = tokenizer.decode(row.tokens[-tail:], skip_special_tokens=False)
    return any(stop in text for stop in row.request.stop_strings)
