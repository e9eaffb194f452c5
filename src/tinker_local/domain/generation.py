"""What generation is asked for and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt and how to continue it: greedily by one token, where nothing else is said.

    `temperature` zero is greedy; `top_k` of -1 or 0 and `top_p` of 1 are off. `stop_tokens` end a
    sequence with one token, `stop_strings` with text; what stopped it is part of the output.
    Prompt log-probabilities before `scored_from` are left out (NaN).
    `named_prompt_tokens` int64 [len(prompt) - 1, k] are tokens to score at each position, -1 for none; a
    further row names what may follow the prompt, which needs no sample then (`num_samples` zero). Its first
    row is about the position `named_from`, where nothing else is asked along the prompt.
    `prompt_samples` are how many to sample there, at the same temperature from the whole vocabulary.
    """

    prompt: tuple[int, ...]
    num_samples: int = 1
    max_tokens: int = 1
    temperature: float = 0.0
    top_k: int = -1
    top_p: float = 1.0
    seed: int = 0
    stop_tokens: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()
    prompt_logprobs: bool = False
    scored_from: int = 0
    top_prompt_logprobs: int = 0
    top_sample_logprobs: int = 0
    named_prompt_tokens: Array | None = None
    named_from: int = 0
    prompt_samples: int = 0


@dataclass(frozen=True)
class TokenLogprobs:
    """Tokens at each position, the likeliest or sampled ones: int32 ids, float32 log-probabilities [n, k]."""

    token_ids: Array
    logprobs: Array


@dataclass(frozen=True)
class SampledSequence:
    """One continuation: tokens, the model's log-probability of each, and whether a stop ended it."""

    tokens: list[int]
    logprobs: list[float]
    stopped: bool
    top: TokenLogprobs | None


Progress = Callable[[int, SampledSequence], None]
"""(number of the sequence, its tokens since the call before); called by the thread that computes."""


@dataclass(frozen=True)
class PromptScores:
    """What was asked about a prompt of n tokens; the first position has nothing before it.

    `logprobs` is float32 [n] with NaN at the first; `top` has rows for all n with empty cells (id 0,
    -99999) in the first; `named` is float32 of the shape asked, 0 where nothing was; `sampled` has n - 1
    rows.
    """

    logprobs: Array | None = None
    top: TokenLogprobs | None = None
    named: Array | None = None
    sampled: TokenLogprobs | None = None


@dataclass(frozen=True)
class GenerationResult:
    """The continuations of one request, and what was asked about its prompt."""

    sequences: tuple[SampledSequence, ...]
    prompt: PromptScores
