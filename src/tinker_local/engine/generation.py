"""What generation is asked for and gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tinker_local.wire.samples import PromptScores, SampledSequence

Array = npt.NDArray[Any]


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
