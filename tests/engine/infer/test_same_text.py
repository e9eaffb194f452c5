"""One request gives the same tokens and log-probabilities to the last bit, whatever runs beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sampling_requests import Submitted, random_prompt, request, weights_of
from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer import token_step as step_module
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.kernels.matmul import matmul, rounded_up
from tinker_local.engine.kv_cache.paged_attention import row_unit
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS
from tinker_local.loading import BaseModel, load_base_model

NEW_TOKENS = 24


@pytest.fixture(scope="module", params=["tiny", "symptoms-base"])
def name(request: pytest.FixtureRequest, tiny_model: Path) -> str:
    return str(tiny_model) if request.param == "tiny" else request.param


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def base(request: pytest.FixtureRequest, name: str) -> BaseModel:
    return load_base_model(name, request.param, torch.device("cpu"))


def bits(result: GenerationResult) -> list[tuple[list[int], list[float]]]:
    return [(sequence.tokens, sequence.logprobs) for sequence in result.sequences]


def strangers(base: BaseModel) -> list[GenerationRequest]:
    """Requests of other lengths, numbers of samples and seeds."""
    return [
        request(
            random_prompt(base, length, seed),
            temperature=1.0,
            seed=seed,
            num_samples=samples,
            max_tokens=new,
            prompt_logprobs=bool(seed % 2),
        )
        for seed, (length, samples, new) in enumerate([(3, 1, 40), (40, 3, 7), (90, 2, 20), (17, 1, 3)], 1)
    ]


@pytest.mark.parametrize(("length", "temperature"), [(5, 1.0), (62, 0.0), (64, 1.0), (100, 0.0)])
def test_company_changes_no_bit(base: BaseModel, length: int, temperature: float):
    """Alone, again with guesses and a remembered prompt, in company, joined late, and with little memory."""
    prompt = random_prompt(base, length)
    asked = request(prompt, temperature=temperature, seed=5, max_tokens=NEW_TOKENS)
    others = strangers(base)
    expected = bits(Submitted(Scheduler(), weights_of(base), asked).result())

    scheduler, weights = Scheduler(), weights_of(base)
    again = [bits(Submitted(scheduler, weights, asked).result()) for _ in range(3)]
    assert again == [expected] * 3

    scheduler, weights = Scheduler(), weights_of(base)
    first = [Submitted(scheduler, weights, other) for other in others[:2]]
    among = Submitted(scheduler, weights, asked)
    last = [Submitted(scheduler, weights, other) for other in others[2:]]
    assert bits(among.result()) == expected
    for other in (*first, *last):
        other.result()

    scheduler, weights = Scheduler(), weights_of(base)
    running = [Submitted(scheduler, weights, other) for other in others]
    for _ in range(3):
        scheduler.step()
    assert bits(Submitted(scheduler, weights, asked).result()) == expected
    assert isinstance(running[-1].outcome, GenerationResult)

    tight = Scheduler(num_pages=-(-max(length + NEW_TOKENS, 110) // PAGE_TOKENS) + 2)
    weights = weights_of(base)
    crowd = [Submitted(tight, weights, other) for other in others]
    late = Submitted(tight, weights, asked)
    assert bits(late.result()) == expected
    for other in crowd:
        other.result()


def test_samples_of_one_request_are_those_of_fewer(base: BaseModel):
    """A sequence has the bits that it has where fewer are asked for, though all share the prompt."""
    prompt = random_prompt(base, 2 * PAGE_TOKENS + 3)
    few = request(prompt, temperature=1.0, seed=3, num_samples=1)
    many = request(prompt, temperature=1.0, seed=3, num_samples=11)
    alone = bits(Submitted(Scheduler(), weights_of(base), few).result())
    together = bits(Submitted(Scheduler(), weights_of(base), many).result())
    assert together[:1] == alone


def test_a_prompt_read_in_pieces_is_the_same(base: BaseModel, monkeypatch: pytest.MonkeyPatch):
    """How many tokens go through the model at once changes no bit of what is scored and sampled."""
    asked = request(random_prompt(base, 90), prompt_logprobs=True, top_prompt_logprobs=2, temperature=1.0)
    whole = Submitted(Scheduler(), weights_of(base), asked).result()
    monkeypatch.setattr(step_module, "STEP_TOKENS", (7, 7))
    pieces = Submitted(Scheduler(), weights_of(base), asked).result()
    assert bits(pieces) == bits(whole)
    np.testing.assert_array_equal(pieces.prompt.logprobs, whole.prompt.logprobs)
    assert pieces.prompt.top is not None
    assert whole.prompt.top is not None
    np.testing.assert_array_equal(pieces.prompt.top.logprobs, whole.prompt.top.logprobs)


@pytest.mark.parametrize("rows", [2, 8, 24, 64, 200])
def test_rows_of_a_product_are_computed_alike(base: BaseModel, rows: int):
    """What the promise rests on: a row's product is the same in any number of rows that are computed."""
    generator = torch.Generator().manual_seed(1)
    unit = row_unit(base.model)
    for weight in [weight for weight in base.model.weights.values() if weight.dim() == 2][:9]:
        row = torch.randn(weight.shape[1], generator=generator).to(weight.dtype)
        few = matmul(row.expand(unit, -1).contiguous(), weight)[0]
        many = torch.randn(rounded_up(rows, unit), weight.shape[1], generator=generator).to(weight.dtype)
        many[rows // 2] = row
        assert torch.equal(matmul(many, weight)[rows // 2], few)
