"""Generation and prompt scoring. Requests of one sampler run together, and read a shared beginning once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from tinker_local.engine.llama import KeyValueCache, Llama, Projection
from tinker_local.engine.prefixes import group_by_prefix
from tinker_local.engine.prompt_scoring import Draws, continuation_logprobs, score_widely
from tinker_local.engine.threads import use_threads_for
from tinker_local.errors import RequestError
from tinker_local.wire.samples import PromptScores, SampledSequence, TokenLogprobs

Array = npt.NDArray[Any]

PROMPT_STREAM = 2**32
"""Draws along a prompt have a random stream of their own, apart from those of the numbered samples."""


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt and how to continue it.

    `temperature` zero is greedy; `top_k` of -1 or 0 and `top_p` of 1 are off. `stop_tokens` end a
    sequence with one token, `stop_strings` with text; what stopped it is part of the output.
    Prompt log-probabilities before `scored_from` are left out (NaN).
    `named_prompt_tokens` int64 [len(prompt) - 1, k] are tokens to score at each position, -1 for none;
    `prompt_draws` are drawn there at the same temperature from the whole vocabulary.
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
    scored_from: int = 0
    top_prompt_logprobs: int = 0
    top_sample_logprobs: int = 0
    named_prompt_tokens: Array | None = None
    prompt_draws: int = 0


@dataclass(frozen=True)
class GenerationResult:
    """The continuations of one request, and what was asked about its prompt."""

    sequences: tuple[SampledSequence, ...]
    prompt: PromptScores


@dataclass
class _Row:
    """One sequence while it grows."""

    request: GenerationRequest
    generator: np.random.Generator
    tokens: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    top: list[tuple[Array, Array]] = field(default_factory=list[tuple[Array, Array]])
    stopped: bool = False

    @property
    def finished(self) -> bool:
        return self.stopped or len(self.tokens) >= self.request.max_tokens

    def continuation(self) -> SampledSequence:
        top = TokenLogprobs(*(np.stack(part) for part in zip(*self.top, strict=True))) if self.top else None
        return SampledSequence(self.tokens, self.logprobs, self.stopped, top)


@dataclass
class _Read:
    """Prompts after they were read: the last state [rows, hidden] of each and the cache behind it."""

    cache: KeyValueCache
    last: Tensor
    prompts: list[PromptScores]


@torch.no_grad()
def generate(
    model: Llama, project: Projection, tokenizer: Tokenizer, requests: Sequence[GenerationRequest]
) -> list[GenerationResult]:
    """Continue every prompt. A row's draws depend on its own seed and place, not on the batch around it."""
    results: dict[int, GenerationResult] = {}
    for group in group_by_prefix([request.prompt for request in requests]):
        chosen = [requests[index] for index in group.indices]
        read = _read_prompts(model, project, chosen, group.shared)
        sequences = _continue(model, project, tokenizer, chosen, read)
        for index, mine, scores in zip(group.indices, sequences, read.prompts, strict=True):
            results[index] = GenerationResult(mine, scores)
    return [results[index] for index in range(len(requests))]


def _read_prompts(
    model: Llama, project: Projection, requests: Sequence[GenerationRequest], shared: int
) -> _Read:
    """Read prompts that agree in their first `shared` tokens, those tokens once."""
    device = model.device
    rests = [request.prompt[shared:] for request in requests]
    longest = max(len(rest) for rest in rests)
    tokens = torch.zeros((len(rests), longest), dtype=torch.int64)
    for index, rest in enumerate(rests):
        tokens[index, : len(rest)] = torch.tensor(rest)
    use_threads_for(model.num_parameters, shared + tokens.numel())
    if shared:
        cache = KeyValueCache(model, 1)
        beginning = torch.tensor([requests[0].prompt[:shared]], device=device)
        before = model.hidden(beginning, project, cache, torch.arange(shared, device=device)[None])[0]
        cache.repeat(torch.tensor([len(rests)], device=device))
    else:
        cache = KeyValueCache(model, len(rests))
        before = torch.zeros((0, model.config.hidden_size), dtype=model.dtype, device=device)
    positions = torch.arange(shared, shared + longest, device=device).expand(len(rests), -1)
    states = model.hidden(tokens.to(device), project, cache, positions)
    prompts = _score_prompts(model, project, requests, shared, before, states)
    ends = torch.tensor([len(rest) - 1 for rest in rests], device=device)
    return _Read(cache, states[torch.arange(len(rests), device=device), ends], prompts)


def _score_prompts(
    model: Llama,
    project: Projection,
    requests: Sequence[GenerationRequest],
    shared: int,
    before: Tensor,
    states: Tensor,
) -> list[PromptScores]:
    """What each request asks about its prompt; the shared tokens are scored once for all of them."""
    asking = [index for index, request in enumerate(requests) if request.prompt_logprobs]
    logprobs: dict[int, Array] = {}
    if asking:
        beginning = torch.tensor(requests[0].prompt[1:shared], dtype=torch.int64, device=model.device)
        shared_part = continuation_logprobs(model, project, before[:-1], beginning).cpu()
        # The state before a row's first own token is the last shared one.
        own_states = [
            torch.cat([before[-1:], states[index, : len(requests[index].prompt) - shared - 1]])
            for index in asking
        ]
        own_tokens = [requests[index].prompt[max(shared, 1) :] for index in asking]
        flat = torch.tensor([token for tokens in own_tokens for token in tokens], dtype=torch.int64)
        own_parts = continuation_logprobs(model, project, torch.cat(own_states), flat.to(model.device)).cpu()
        own_split = torch.split(own_parts, [len(tokens) for tokens in own_tokens])
        first = torch.tensor([float("nan")])
        for index, own in zip(asking, own_split, strict=True):
            logprobs[index] = torch.cat([first, shared_part, own]).numpy()
            logprobs[index][: requests[index].scored_from] = np.nan
    scores: list[PromptScores] = []
    for index, request in enumerate(requests):
        mine = PromptScores()
        if request.top_prompt_logprobs or request.named_prompt_tokens is not None or request.prompt_draws:
            own = states[index, : len(request.prompt) - shared]
            generator = np.random.default_rng([request.seed, PROMPT_STREAM])
            mine = score_widely(
                model,
                project,
                torch.cat([before, own])[:-1],
                request.top_prompt_logprobs,
                request.named_prompt_tokens,
                Draws(request.prompt_draws, request.temperature, generator) if request.prompt_draws else None,
            )
        scores.append(replace(mine, logprobs=logprobs.get(index)))
    return scores


def _continue(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    requests: Sequence[GenerationRequest],
    read: _Read,
) -> list[tuple[SampledSequence, ...]]:
    """Sample each request's sequences from where its prompt ended."""
    device, cache = model.device, read.cache
    rows = [
        _Row(request, np.random.default_rng([request.seed, sample]))
        for request in requests
        for sample in range(request.num_samples)
    ]
    copies = torch.tensor([request.num_samples for request in requests], device=device)
    scores = model.logits(read.last, project).repeat_interleave(copies, dim=0)
    _extend(rows, scores, tokenizer)
    live = [index for index, row in enumerate(rows) if not row.finished]
    if live:
        # Every prompt was read once; its samples start from copies of its keys and values.
        cache.repeat(copies)
        cache.keep(torch.tensor(live, device=device))
    place = torch.tensor([len(rows[index].request.prompt) for index in live], device=device)
    use_threads_for(model.num_parameters, len(live))
    while live:
        newest = torch.tensor([[rows[index].tokens[-1]] for index in live], device=device)
        states = model.hidden(newest, project, cache, place[:, None])
        _extend([rows[index] for index in live], model.logits(states[:, 0], project), tokenizer)
        place = place + 1
        still = [slot for slot, index in enumerate(live) if not rows[index].finished]
        if len(still) < len(live):
            # Finished rows leave the batch, so a long straggler does not pay for them.
            kept = torch.tensor(still, dtype=torch.int64, device=device)
            cache.keep(kept)
            place = place[kept]
            live = [live[slot] for slot in still]
    sequences: list[tuple[SampledSequence, ...]] = []
    start = 0
    for request in requests:
        mine = rows[start : start + request.num_samples]
        start += request.num_samples
        sequences.append(tuple(row.continuation() for row in mine))
    return sequences


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
        if request.top_sample_logprobs:
            best = logprobs[index].topk(request.top_sample_logprobs)
            row.top.append((best.indices.int().cpu().numpy(), best.values.cpu().numpy()))
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
