"""Requests join and leave between any two steps, share what they can, and stay within their memory."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sampling_requests import Submitted, random_prompt, request, weights_of
from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer import token_step
from tinker_local.engine.infer.networks.network import TorchNetwork
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS
from tinker_local.engine.model.llama import plain_projection
from tinker_local.errors import RequestError
from tinker_local.loading import BaseModel, load_base_model


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> BaseModel:
    return load_base_model(str(tiny_model), "float32", torch.device("cpu"))


class Counted:
    """Weights that count the rows that go through the first layer."""

    def __init__(self, base: BaseModel) -> None:
        self.rows: list[int] = []
        self.scored: list[int] = []

        def project(name: str, x: Tensor, weight: Tensor) -> Tensor:
            if name == "model.layers.0.self_attn.q_proj":
                self.rows.append(len(x))
            if name == "lm_head":
                self.scored.append(len(x))
            return plain_projection(name, x, weight)

        self.weights = SamplingWeights(base.model, base.tokenizer, lambda: TorchNetwork(base.model, project))

    def rows_of(self, scheduler: Scheduler, *asked: GenerationRequest) -> int:
        """How many rows are computed until these requests are done."""
        self.rows.clear()
        for one in [Submitted(scheduler, self.weights, each) for each in asked]:
            one.result()
        return sum(self.rows)


def test_a_request_joins_while_others_decode(base: BaseModel):
    """A short request that comes late is done while a long one goes on, and both are computed together."""
    scheduler, counted = Scheduler(), Counted(base)
    long = Submitted(scheduler, counted.weights, request(random_prompt(base, 9), max_tokens=100))
    for _ in range(10):
        scheduler.step()
    short = Submitted(scheduler, counted.weights, request(random_prompt(base, 5, 1), max_tokens=4))
    counted.rows.clear()
    short.result()
    assert long.outcome is None
    assert len(counted.rows) <= 5
    assert len(long.result().sequences[0].tokens) == 100


def test_a_sequence_is_delivered_when_it_ends(base: BaseModel):
    """Of two requests that came together, the shorter one's result does not wait for the longer one's."""
    scheduler, weights = Scheduler(), weights_of(base)
    long = Submitted(scheduler, weights, request(random_prompt(base, 9), max_tokens=100))
    Submitted(scheduler, weights, request(random_prompt(base, 7, 1), max_tokens=3)).result()
    assert long.outcome is None


def test_what_nobody_wants_is_dropped_at_the_next_step(base: BaseModel):
    """A request that was given up frees its memory, and the one beside it goes on."""
    scheduler, weights = Scheduler(num_pages=12), weights_of(base)
    unwanted = Submitted(scheduler, weights, request(random_prompt(base, 30), max_tokens=100))
    beside = Submitted(scheduler, weights, request(random_prompt(base, 20, 1), max_tokens=30))
    for _ in range(5):
        scheduler.step()
    unwanted.wanted = False
    assert len(beside.result().sequences[0].tokens) == 30
    assert unwanted.outcome is None
    assert not scheduler.has_work


def test_weights_take_turns(base: BaseModel):
    """Two sets of weights decode side by side: neither waits for the other's end."""
    scheduler = Scheduler()
    first = Submitted(scheduler, weights_of(base), request(random_prompt(base, 9), max_tokens=60))
    second = Submitted(scheduler, weights_of(base), request(random_prompt(base, 9), max_tokens=30))
    second.result()
    assert first.outcome is None
    assert len(first.result().sequences[0].tokens) == 60


def test_many_samples_run_in_slices(base: BaseModel):
    """No more sequences than the limit grow at once, no more rows are scored, and all samples are there."""
    scheduler, counted = Scheduler(max_slots=16), Counted(base)
    asked = request(random_prompt(base, 40), num_samples=100, max_tokens=6, temperature=1.0)
    result = Submitted(scheduler, counted.weights, asked).result()
    assert [len(sequence.tokens) for sequence in result.sequences] == [6] * 100
    assert len({tuple(sequence.tokens) for sequence in result.sequences}) > 90
    assert max(counted.rows[1:]) <= 16
    assert max(counted.scored) <= 16


def test_a_large_request_leaves_places_to_others(base: BaseModel):
    """A request that comes behind a thousand samples does not wait for them."""
    scheduler, weights = Scheduler(max_slots=16), weights_of(base)
    prompt = random_prompt(base, 40)
    large = Submitted(scheduler, weights, request(prompt, num_samples=1000, max_tokens=50, temperature=1.0))
    for _ in range(5):
        scheduler.step()
    Submitted(scheduler, weights, request(random_prompt(base, 4), max_tokens=5)).result()
    assert large.outcome is None
    large.wanted = False
    scheduler.step()


def test_a_common_beginning_is_read_once(base: BaseModel):
    """Candidates behind one prompt cost its tokens once and their own."""
    counted, prompt = Counted(base), random_prompt(base, 100)
    candidates = [
        request((*prompt, number, 7), max_tokens=1, prompt_logprobs=True, scored_from=100)
        for number in range(30)
    ]
    assert counted.rows_of(Scheduler(), *candidates) <= 100 + 2 * 30 + 32


@pytest.mark.parametrize("beside", [False, True])
def test_a_common_beginning_of_several_steps_is_read_once(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch, beside: bool
):
    """Also where a step ends within it, and where a sequence grows beside what is scored alone."""
    monkeypatch.setattr(token_step, "STEP_TOKENS", (32, 32))
    scheduler, counted = Scheduler(), Counted(base)
    growing = Submitted(scheduler, counted.weights, request(random_prompt(base, 2, 1), max_tokens=60))
    if not beside:
        growing.result()
    prompts = [random_prompt(base, 75, seed) for seed in (2, 3)]
    named = np.full((77, 1), 5, dtype=np.int64)
    scored = [
        request((*prompt, number, 7), num_samples=0, named_prompt_tokens=named)
        for prompt in prompts
        for number in range(3)
    ]
    rows = counted.rows_of(scheduler, *scored)
    # Of each step some rows are added, so that kernels meet few different numbers of them.
    assert rows <= 2 * (75 + 2 * 3) + 8 * len(counted.rows)


def test_what_may_follow_a_prompt_is_scored_without_a_sample(base: BaseModel):
    """Named behind the last token, a score is the log-probability of that token had it stood there."""
    prompt = random_prompt(base, 20)
    named = np.full((20, 2), -1, dtype=np.int64)
    named[-1] = (3, 4)
    asked = request(prompt, num_samples=0, named_prompt_tokens=named)
    found = Submitted(Scheduler(), weights_of(base), asked).result()
    assert found.sequences == ()
    for column, token in enumerate((3, 4)):
        whole = request((*prompt, token), max_tokens=1, prompt_logprobs=True)
        logprobs = Submitted(Scheduler(), weights_of(base), whole).result().prompt.logprobs
        assert found.prompt.named[-1, column] == pytest.approx(logprobs[-1], abs=1e-5)


@pytest.mark.parametrize("asks", [{"prompt_logprobs": True, "scored_from": 90}, {}])
def test_a_prompt_is_remembered_beyond_its_batch(base: BaseModel, asks: dict[str, object]):
    """A prompt that was read before costs the rest of a page, and gives the log-probabilities of before."""
    scheduler, counted = Scheduler(), Counted(base)
    asked = request(random_prompt(base, 100), max_tokens=1, **asks)
    first = Submitted(scheduler, counted.weights, asked).result()
    assert counted.rows_of(scheduler, asked) <= 2 * PAGE_TOKENS
    again = Submitted(scheduler, counted.weights, asked).result()
    assert again.sequences == first.sequences
    if asks:
        np.testing.assert_array_equal(again.prompt.logprobs, first.prompt.logprobs)


def test_what_is_asked_of_a_remembered_prompt_is_read_again(base: BaseModel):
    """Scores along a prompt that is remembered are those of one that is not."""
    prompt = random_prompt(base, 100)
    asked = request(prompt, prompt_logprobs=True, top_prompt_logprobs=2, prompt_samples=2, temperature=1.0)
    expected = Submitted(Scheduler(), weights_of(base), asked).result().prompt
    scheduler, weights = Scheduler(), weights_of(base)
    Submitted(scheduler, weights, request(prompt)).result()
    actual = Submitted(scheduler, weights, asked).result().prompt
    np.testing.assert_array_equal(actual.logprobs, expected.logprobs)
    assert expected.top is not None
    assert actual.top is not None
    np.testing.assert_array_equal(actual.top.token_ids, expected.top.token_ids)
    assert expected.sampled is not None
    assert actual.sampled is not None
    np.testing.assert_array_equal(actual.sampled.token_ids, expected.sampled.token_ids)


def test_other_weights_do_not_find_it(base: BaseModel):
    """What one adapter computed is not taken for another's."""
    scheduler, counted = Scheduler(), Counted(base)
    asked = request(random_prompt(base, 100), max_tokens=1)
    Submitted(scheduler, weights_of(base), asked).result()
    assert counted.rows_of(scheduler, asked) >= 100


@pytest.mark.parametrize("is_gone", [True, False])
def test_what_is_remembered_goes_with_its_weights(base: BaseModel, is_gone: bool):
    """With room for two prompts, a third takes the place of a gone sampler's, and not of the oldest."""
    scheduler, counted, weights = Scheduler(num_pages=14), Counted(base), weights_of(base)
    oldest, newest = (request(random_prompt(base, 100, seed), max_tokens=1) for seed in range(2))
    counted.rows_of(scheduler, oldest)
    Submitted(scheduler, weights, oldest).result()
    if is_gone:
        del weights
        gc.collect()
    counted.rows_of(scheduler, newest)
    rows = counted.rows_of(scheduler, oldest)
    assert rows <= 2 * PAGE_TOKENS if is_gone else rows > 80


def test_what_was_remembered_longest_ago_goes_first(base: BaseModel):
    """With room for about two prompts, the newest is found and the oldest is not."""
    scheduler, counted = Scheduler(num_pages=14), Counted(base)
    asked = [request(random_prompt(base, 100, seed), max_tokens=1) for seed in range(3)]
    for one in asked:
        counted.rows_of(scheduler, one)
    assert counted.rows_of(scheduler, asked[2]) <= 2 * PAGE_TOKENS
    assert counted.rows_of(scheduler, asked[0]) > 80


def test_what_never_fits_is_refused(base: BaseModel):
    """A request that needs more memory than there is fails with a sentence, and the next one runs."""
    scheduler, weights = Scheduler(num_pages=4), weights_of(base)
    too_long = Submitted(scheduler, weights, request(random_prompt(base, 60), max_tokens=60))
    fits = Submitted(scheduler, weights, request(random_prompt(base, 20), max_tokens=20))
    assert len(fits.result().sequences[0].tokens) == 20
    assert isinstance(too_long.outcome, RequestError)
    assert "memory" in str(too_long.outcome)


def test_short_memory_delays_and_changes_nothing(base: BaseModel):
    """Sequences that do not fit together are done one after another, with the same results."""
    asked = [
        request(random_prompt(base, 20 + seed, seed), num_samples=3, max_tokens=40, temperature=1.0)
        for seed in range(4)
    ]
    roomy, tight = Scheduler(), Scheduler(num_pages=7)
    expected = [Submitted(roomy, weights_of(base), one).result() for one in asked]
    weights = weights_of(base)
    for one, result in zip([Submitted(tight, weights, one) for one in asked], expected, strict=True):
        assert one.result().sequences == result.sequences


def test_diverged_weights_do_not_reach_others(base: BaseModel):
    """Weights without numbers fail their own request, and the pages that they wrote are clean again."""
    scheduler = Scheduler(num_pages=8)

    def diverged(_name: str, x: Tensor, weight: Tensor) -> Tensor:
        return plain_projection(_name, x, weight) * float("nan")

    broken = SamplingWeights(base.model, base.tokenizer, lambda: TorchNetwork(base.model, diverged))
    asked = request(random_prompt(base, 40), max_tokens=40)
    failed = Submitted(scheduler, broken, asked)
    beside = Submitted(scheduler, weights_of(base), asked)
    assert isinstance(beside.result(), GenerationResult)
    assert isinstance(failed.outcome, RequestError)
    assert "diverged" in str(failed.outcome)
