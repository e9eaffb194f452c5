"""Sequences while they grow, and the next token of each from the model's scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from tinker_local.domain.generation import Array, GenerationRequest, SampledSequence, TokenLogprobs
from tinker_local.engine.infer.sampler import Draw, ScoredRows, sample_tokens


@dataclass(eq=False)
class Sample:
    """One sequence of a request: what it has sampled so far, and how it samples on."""

    request: GenerationRequest
    draw: Draw
    tokens: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    top: list[tuple[Array, Array]] = field(default_factory=list[tuple[Array, Array]])
    stopped: bool = False

    @classmethod
    def numbered(cls, request: GenerationRequest, number: int) -> Sample:
        """The sequence of this number, with random numbers that depend on it and the request's seed alone."""
        return cls(request, np.random.default_rng([request.seed, number]))

    @property
    def finished(self) -> bool:
        """Whether a stop was sampled, or as many tokens as the request allows."""
        return self.stopped or len(self.tokens) >= self.request.max_tokens

    def result(self, since: int = 0) -> SampledSequence:
        """Tokens from this one on, with log-probabilities in nats; `top` is [tokens, k] or None."""
        best = self.top[since:]
        top = TokenLogprobs(*(np.stack(part) for part in zip(*best, strict=True))) if best else None
        return SampledSequence(self.tokens[since:], self.logprobs[since:], self.stopped, top)


def extend(samples: Sequence[Sample], scored: ScoredRows, rows: Sequence[int], tokenizer: Tokenizer) -> None:
    """Sample one more token for every sequence, each from its row of scores."""
    requests, draws = [sample.request for sample in samples], [sample.draw for sample in samples]
    tokens = sample_tokens(scored, rows, requests, draws)
    # The reported log-probability is the model's own, before temperature and truncation.
    reported = scored.logprobs(rows, tokens)
    for index, (sample, row, token) in enumerate(zip(samples, rows, tokens, strict=True)):
        request = sample.request
        sample.tokens.append(token)
        sample.logprobs.append(reported[index])
        if request.top_sample_logprobs:
            best = scored.scores[row].topk(request.top_sample_logprobs)
            logprobs = best.values - scored.log_sums[row]
            sample.top.append((best.indices.int().cpu().numpy(), logprobs.cpu().numpy()))
        sample.stopped = token in request.stop_tokens or _ends_with_stop(sample, tokenizer)


def are_numbers(values: Tensor) -> list[bool]:
    """Of each of `values` [n] whether it is a number."""
    return [not math.isnan(one) for one in cast(list[float], values.tolist())]


def _ends_with_stop(sample: Sample, tokenizer: Tokenizer) -> bool:
    if not sample.request.stop_strings:
        return False
    # A token is at least one byte, so this many of them surely hold the longest stop string.
    tail = max(len(text.encode()) for text in sample.request.stop_strings) + 1
    text = tokenizer.decode(sample.tokens[-tail:], skip_special_tokens=False)
    return any(stop in text for stop in sample.request.stop_strings)
