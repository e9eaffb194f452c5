"""Guessed tokens save time and change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sampling_requests import generate
from tinker_local.domain.generation import GenerationRequest
from tinker_local.engine.infer.speculation import PromptLookup
from tinker_local.engine.model.llama import plain_projection
from tinker_local.loading import BaseModel, load_base_model

PROMPT = tuple(range(40, 60))


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> BaseModel:
    return load_base_model(str(tiny_model), "float32", torch.device("cpu"))


def request(**changes: object) -> GenerationRequest:
    settings: dict[str, object] = {
        "num_samples": 1,
        "max_tokens": 30,
        "temperature": 0.0,
        "top_k": -1,
        "top_p": 1.0,
        "seed": 4,
        "stop_tokens": frozenset(),
        "stop_strings": (),
        "prompt_logprobs": False,
        **changes,
    }
    return GenerationRequest(prompt=PROMPT, **settings)


def passes_of(
    base: BaseModel, asked: GenerationRequest, lookup: PromptLookup
) -> tuple[list[int], list[float], int]:
    """What is generated, and how many times the last layer's weights were read."""
    passes = 0

    def counting(name: str, x: Tensor, weight: Tensor) -> Tensor:
        nonlocal passes
        passes += name == "lm_head"
        return plain_projection(name, x, weight)

    sequence = generate(base.model, counting, base.tokenizer, [asked], lookup)[0].sequences[0]
    return sequence.tokens, sequence.logprobs, passes


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_right_guesses_save_passes_and_change_nothing(base: BaseModel, temperature: float):
    """What was generated before is generated again in fewer passes, greedy and drawn alike."""
    asked, lookup = request(temperature=temperature), PromptLookup()
    tokens, logprobs, passes = passes_of(base, asked, lookup)
    again, logprobs_again, passes_again = passes_of(base, asked, lookup)
    assert again == tokens
    np.testing.assert_allclose(logprobs_again, logprobs, atol=1e-4)
    assert passes_again < passes / 2


def test_wrong_guesses_change_nothing(base: BaseModel):
    """Where every guess is wrong from some place on, the tokens are still those of one by one."""
    expected, logprobs, _ = passes_of(base, request(), PromptLookup())
    misled = PromptLookup()
    for end in range(3, len(expected)):
        beginning = [*PROMPT, *expected][: len(PROMPT) + end]
        misled.remember([*beginning[-4:], *expected[end : end + end % 4], 7, 8, 9, 10])
    actual, logprobs_again, _ = passes_of(base, request(), misled)
    assert actual == expected
    np.testing.assert_allclose(logprobs_again, logprobs, atol=1e-4)


def test_a_stop_among_right_guesses_ends_the_sequence(base: BaseModel):
    """Tokens that were guessed beyond a stop, or beyond the number asked for, are not part of the answer."""
    lookup = PromptLookup()
    full = passes_of(base, request(), lookup)[0]
    stop = next(token for token in full[8:] if full.index(token) >= 8)
    stopped = passes_of(base, request(stop_tokens=frozenset([stop])), lookup)[0]
    assert stopped == full[: full.index(stop) + 1]
    assert passes_of(base, request(max_tokens=17), lookup)[0] == full[:17]


def test_the_last_of_a_batch_is_guessed_too(base: BaseModel):
    """A sequence that outlasts a longer prompt's beside it goes on rightly alone."""
    expected = passes_of(base, request(), PromptLookup())[0]
    longer = GenerationRequest((*range(60, 100),), 1, 5, 0.0, -1, 1.0, 0, frozenset(), (), False)
    lookup = PromptLookup()
    lookup.remember([*PROMPT, *expected])
    actual = generate(base.model, plain_projection, base.tokenizer, [request(), longer], lookup)[0]
    assert actual.sequences[0].tokens == expected


def test_guesses_are_forgotten_oldest_first():
    """What is remembered stays bounded, and the newest is what counts."""
    lookup = PromptLookup()
    lookup.remember([1, 2, 3, 4])
    lookup.remember([1, 2, 3, 5])
    assert lookup.propose([0, 1, 2, 3], 4) == [5]
    lookup.remember(list(range(100, 30_100)))
    assert lookup.propose([1, 2, 3], 4) == []
