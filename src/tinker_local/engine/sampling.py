"""Generation and prompt scoring. Requests of one sampler run together, and read a shared beginning once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from tinker_local.engine.drafting import MOST_GUESSES, Guesses
from tinker_local.engine.drawing import Choice, choose
from tinker_local.engine.generation import Array, GenerationRequest, GenerationResult
from tinker_local.engine.llama import KeyValueCache, Llama, Projection
from tinker_local.engine.reading import Reading, read_prompts
from tinker_local.engine.threads import use_threads_for
from tinker_local.errors import RequestError
from tinker_local.wire.samples import SampledSequence, TokenLogprobs

ROOM = 64
"""New tokens for which a cache has room from the beginning; most sequences end before it must grow."""


@dataclass
class _Row:
    """One sequence while it grows."""

    request: GenerationRequest
    choice: Choice
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


@torch.no_grad()
def generate(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    requests: Sequence[GenerationRequest],
    guesses: Guesses | None = None,
) -> list[GenerationResult]:
    """Continue every prompt. A row's draws depend on its own seed and place, not on the batch around it.

    `guesses` learn from what is generated here, and make a single sequence faster.
    """
    reading = read_prompts(model, project, requests)
    sequences = _continue(model, project, tokenizer, requests, reading, guesses or Guesses())
    return [GenerationResult(mine, scores) for mine, scores in zip(sequences, reading.scores, strict=True)]


def _continue(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    requests: Sequence[GenerationRequest],
    reading: Reading,
    guesses: Guesses,
) -> list[tuple[SampledSequence, ...]]:
    """Sample each request's sequences from where its prompt ended."""
    rows = [
        _Row(request, _choice(request, sample))
        for request in requests
        for sample in range(request.num_samples)
    ]
    copies = torch.tensor([request.num_samples for request in requests], device=model.device)
    _extend(rows, model.logits(reading.last, project).repeat_interleave(copies, dim=0), tokenizer)
    prompts = [index for index, request in enumerate(requests) for _ in range(request.num_samples)]
    growing = [number for number, row in enumerate(rows) if not row.finished]
    if growing:
        live = [rows[number] for number in growing]
        cache, seen = _cache_of([reading.places[prompts[number]] for number in growing], model, live)
        reading.places.clear()
        _decode(model, project, tokenizer, live, cache, seen, guesses)
    sequences: list[tuple[SampledSequence, ...]] = []
    start = 0
    for request in requests:
        mine = rows[start : start + request.num_samples]
        start += request.num_samples
        sequences.append(tuple(row.continuation() for row in mine))
    return sequences


def _choice(request: GenerationRequest, sample: int) -> Choice:
    generator = np.random.default_rng([request.seed, sample])
    return Choice(request.temperature, request.top_k, request.top_p, generator)


def _cache_of(
    places: Sequence[tuple[KeyValueCache, Tensor] | None], model: Llama, rows: Sequence[_Row]
) -> tuple[KeyValueCache, Tensor | None]:
    """One cache for all sequences, each begun with its prompt, and which places belong to each.

    The latter is bool [rows, length], and None where all prompts have one length.
    """
    lengths = [len(row.request.prompt) for row in rows]
    longest, most = max(lengths), max(row.request.max_tokens for row in rows)
    cache = KeyValueCache(model, len(rows), longest + min(most, ROOM))
    for number, place in enumerate(places):
        assert place is not None, "the cache of a prompt that is continued was kept"
        cache.fill_row(number, *place)
    cache.length = longest
    if min(lengths) == longest:
        return cache, None
    seen = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return cache, seen.to(model.device)


def _decode(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    live: Sequence[_Row],
    cache: KeyValueCache,
    seen: Tensor | None,
    guesses: Guesses,
) -> None:
    """Extend every sequence to its end, token by token until a single one is left."""
    everyone = live
    place = torch.tensor([[len(row.request.prompt)] for row in live], device=model.device)
    use_threads_for(model.num_parameters, len(live))
    while len(live) > 1:
        newest = torch.tensor([[row.tokens[-1]] for row in live], device=model.device)
        if seen is not None:
            seen = F.pad(seen, (0, 1), value=True)
        mask = None if seen is None else seen[:, None]
        states = model.hidden(newest, project, cache, place, mask)
        _extend(live, model.logits(states[:, 0], project), tokenizer)
        place = place + 1
        still = [slot for slot, row in enumerate(live) if not row.finished]
        if len(still) < len(live):
            # Finished rows leave the batch, so a long straggler does not pay for them.
            kept = torch.tensor(still, dtype=torch.int64, device=model.device)
            cache.keep(kept)
            place, seen = place[kept], None if seen is None else seen[kept]
            live = [live[slot] for slot in still]
    for row in live:
        _finish(model, project, tokenizer, row, cache, seen, guesses)
    for row in everyone:
        guesses.remember(row.tokens)


def _finish(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    row: _Row,
    cache: KeyValueCache,
    seen: Tensor | None,
    guesses: Guesses,
) -> None:
    """Extend a single sequence to its end, several tokens at a time as far as they can be guessed."""
    guesses.remember(row.request.prompt)
    so_far = [*row.request.prompt, *row.tokens]
    most = 1
    while not row.finished:
        most = min(most, row.request.max_tokens - len(row.tokens) - 1)
        guessed = guesses.after(so_far, most)
        fresh = torch.tensor([[so_far[-1], *guessed]], device=model.device)
        positions = torch.arange(len(so_far) - 1, len(so_far) + len(guessed), device=model.device)[None]
        mask = None
        if seen is not None:
            everything = F.pad(seen, (0, cache.length + fresh.shape[1] - seen.shape[1]), value=True)
            mask = everything.expand(fresh.shape[1], -1).tril(cache.length)[None]
        states = model.hidden(fresh, project, cache, positions, mask)[0]
        scores = model.logits(states, project)
        for place in range(len(scores)):
            _extend([row], scores[place : place + 1], tokenizer)
            so_far.append(row.tokens[-1])
            if row.finished or place == len(guessed) or row.tokens[-1] != guessed[place]:
                # What was computed for guesses that proved wrong is forgotten.
                cache.length -= len(guessed) - place
                most = min(2 * place + 2, MOST_GUESSES)
                break


def _extend(rows: Sequence[_Row], scores: Tensor, tokenizer: Tokenizer) -> None:
    """Choose one more token for every row from scores [rows, vocab_size], float32."""
    logprobs = torch.log_softmax(scores, dim=-1)
    # One score that is no number makes all of its row none.
    if any(math.isnan(first) for first in cast(list[float], logprobs[:, 0].tolist())):
        raise RequestError("The weights score tokens with no number, as diverged training leaves them.")
    tokens = choose(scores, [row.choice for row in rows])
    chosen = torch.tensor(tokens, device=scores.device)[:, None]
    # The reported log-probability is the model's own, before temperature and truncation.
    reported = cast(list[float], logprobs.gather(1, chosen)[:, 0].tolist())
    for index, (row, token) in enumerate(zip(rows, tokens, strict=True)):
        request = row.request
        row.tokens.append(token)
        row.logprobs.append(reported[index])
        if request.top_sample_logprobs:
            best = logprobs[index].topk(request.top_sample_logprobs)
            row.top.append((best.indices.int().cpu().numpy(), best.values.cpu().numpy()))
        row.stopped = token in request.stop_tokens or _ends_with_stop(row, tokenizer)


def _ends_with_stop(row: _Row, tokenizer: Tokenizer) -> bool:
    if not row.request.stop_strings:
        return False
    # A token is at least one byte, so this many of them surely hold the longest stop string.
    tail = max(len(text.encode()) for text in row.request.stop_strings) + 1
    text = tokenizer.decode(row.tokens[-tail:], skip_special_tokens=False)
    return any(stop in text for stop in row.request.stop_strings)
