"""Generation against the reference, and the promises it makes about seeds, stops and batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from sampling_requests import generate
from sampling_requests import request as greedy_request
from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.model.llama import plain_projection
from tinker_local.errors import RequestError
from tinker_local.loading import BaseModel, load_base_model
from tiny_models import write_tiny_llama

CPU = torch.device("cpu")
PROMPT = tuple(range(40, 52))


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> BaseModel:
    return load_base_model(str(tiny_model), "float32", CPU)


def request(prompt: tuple[int, ...] = PROMPT, **changes: object) -> GenerationRequest:
    return greedy_request(prompt, **changes)


def run(base: BaseModel, *requests: GenerationRequest) -> list[GenerationResult]:
    return generate(base.model, plain_projection, base.tokenizer, requests)


def test_greedy_equals_transformers(tmp_path: Path):
    """Greedy tokens and their log-probabilities equal the reference's generate()."""
    reference: LlamaForCausalLM = write_tiny_llama(tmp_path)
    base = load_base_model(str(tmp_path), "float32", CPU)
    expected = reference.generate(
        torch.tensor([PROMPT]),
        attention_mask=torch.ones(1, len(PROMPT), dtype=torch.int64),
        max_new_tokens=20,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=1,
    )
    sequence = run(base, request())[0].sequences[0]
    assert sequence.tokens == expected[0, len(PROMPT) :].tolist()
    logits = reference(expected).logits[0, len(PROMPT) - 1 : -1]
    logprobs = torch.log_softmax(logits, -1).gather(1, expected[0, len(PROMPT) :, None])[:, 0]
    np.testing.assert_allclose(sequence.logprobs, logprobs.detach().numpy(), atol=1e-4)


def test_prompt_logprobs_equal_transformers(tmp_path: Path):
    """The first prompt token has no log-probability; the others equal the reference's."""
    reference = write_tiny_llama(tmp_path)
    base = load_base_model(str(tmp_path), "float32", CPU)
    short = (7, 8, 9)
    scored = run(base, request(prompt_logprobs=True), request(short, prompt_logprobs=True))
    for prompt, result in zip((PROMPT, short), scored, strict=True):
        tokens = torch.tensor([prompt])
        logprobs = torch.log_softmax(reference(tokens).logits[0, :-1], -1).gather(1, tokens[0, 1:, None])[
            :, 0
        ]
        assert result.prompt.logprobs is not None
        assert np.isnan(result.prompt.logprobs[0])
        np.testing.assert_allclose(result.prompt.logprobs[1:], logprobs.detach().numpy(), atol=1e-4)


def test_seed_repeats_and_differs(base: BaseModel):
    """One seed gives one sequence; another seed, and another sample of one request, give others."""
    drawn = request(temperature=1.0, seed=5, num_samples=2)
    first, again = run(base, drawn)[0], run(base, drawn)[0]
    assert [s.tokens for s in first.sequences] == [s.tokens for s in again.sequences]
    other = run(base, request(temperature=1.0, seed=6))[0]
    assert len({tuple(s.tokens) for s in (*first.sequences, *other.sequences)}) == 3


def test_a_batch_changes_nothing(base: BaseModel):
    """What a request gets does not depend on the requests that ran beside it."""
    requests = [
        request(temperature=1.0, seed=1),
        request((9, 8), temperature=0.7, seed=2, max_tokens=31, num_samples=3),
        request((99,) * 30, max_tokens=3),
    ]
    together = run(base, *requests)
    for one, result in zip(requests, together, strict=True):
        alone = run(base, one)[0]
        assert [s.tokens for s in alone.sequences] == [s.tokens for s in result.sequences]


def assert_follows(tokens: list[int], probabilities: np.ndarray) -> None:
    """Chi-squared over the common tokens, the rare ones taken together."""
    counts, expected = np.bincount(tokens, minlength=258), probabilities * len(tokens)
    common = expected >= 5
    pairs = [*zip(counts[common], expected[common], strict=True)]
    pairs.append((counts[~common].sum(), expected[~common].sum()))
    statistic = sum((o - e) ** 2 / e for o, e in pairs if e > 0)
    freedom = len(pairs) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


def test_draws_follow_the_distribution(base: BaseModel):
    """First tokens of 4,000 samples have the model's probabilities."""
    result = run(base, request(temperature=1.5, num_samples=4000, max_tokens=1, seed=3))[0]
    model = base.model
    with torch.no_grad():
        logits = model.logits(model.hidden(torch.tensor([PROMPT])))[0, -1]
    assert_follows([s.tokens[0] for s in result.sequences], torch.softmax(logits / 1.5, -1).numpy())


def test_draws_along_a_prompt_follow_its_distributions(base: BaseModel):
    """At each position the draws have the model's tempered probabilities, and carry its log-probabilities."""
    results = run(base, *(request(temperature=1.5, seed=seed, prompt_samples=100) for seed in range(40)))
    with torch.no_grad():
        logits = base.model.logits(base.model.hidden(torch.tensor([PROMPT])))[0, :-1]
    drawn = [result.prompt.sampled for result in results if result.prompt.sampled is not None]
    tokens = np.concatenate([one.token_ids for one in drawn], axis=1)
    assert tokens.shape == (len(PROMPT) - 1, 4000)
    for row, scores in zip(tokens, logits, strict=True):
        assert_follows(row.tolist(), torch.softmax(scores / 1.5, -1).numpy())
    expected = torch.log_softmax(logits, -1).gather(1, torch.from_numpy(tokens).long()).numpy()
    np.testing.assert_allclose(np.concatenate([one.logprobs for one in drawn], axis=1), expected, atol=1e-4)


def test_draws_along_a_prompt_are_its_own(base: BaseModel):
    """They depend on the seed alone, are greedy at temperature zero, and a prompt of one token has none."""
    asked = request(temperature=1.0, seed=5, prompt_samples=3)
    others = [
        request(temperature=1.0, seed=6, prompt_samples=2),
        request((*PROMPT, 9), prompt_samples=1),
    ]
    alone, together = run(base, asked)[0].prompt.sampled, run(base, *others, asked)
    assert alone is not None
    assert together[2].prompt.sampled is not None
    np.testing.assert_array_equal(alone.token_ids, together[2].prompt.sampled.token_ids)
    greedy = together[1].prompt.sampled
    assert greedy is not None
    with torch.no_grad():
        best = base.model.logits(base.model.hidden(torch.tensor([[*PROMPT, 9]])))[0, :-1].argmax(-1)
    np.testing.assert_array_equal(greedy.token_ids[:, 0], best.numpy())
    single = run(base, request((7,), temperature=1.0, prompt_samples=4))[0].prompt.sampled
    assert single is not None
    assert single.token_ids.shape == (0, 4)


def test_top_k_and_top_p_leave_only_likely_tokens(base: BaseModel):
    """top_k keeps the k likeliest tokens; top_p the fewest whose mass reaches it."""
    model = base.model
    with torch.no_grad():
        probabilities = torch.softmax(model.logits(model.hidden(torch.tensor([PROMPT])))[0, -1] / 3, -1)
    order = probabilities.argsort(descending=True)
    drawn = run(base, request(temperature=3.0, top_k=4, num_samples=300, max_tokens=1))[0]
    assert {s.tokens[0] for s in drawn.sequences} == set(order[:4].tolist())
    mass = probabilities[order].cumsum(0)
    kept = order[: int((mass < 0.5).sum()) + 1]
    drawn = run(base, request(temperature=3.0, top_p=0.5, num_samples=1000, max_tokens=1))[0]
    assert {s.tokens[0] for s in drawn.sequences} <= set(kept.tolist())
    greedy = run(base, request(temperature=3.0, top_p=1e-9))[0]
    assert greedy.sequences[0].tokens == run(base, request())[0].sequences[0].tokens


def test_stop_tokens_and_strings_end_a_sequence(base: BaseModel):
    """A stop ends the sequence, is part of it, and is told apart from running out of tokens."""
    full = run(base, request())[0].sequences[0]
    assert not full.stopped
    stop = full.tokens[6]
    place = full.tokens.index(stop)
    stopped = run(base, request(stop_tokens=frozenset([stop])))[0].sequences[0]
    assert stopped.stopped
    assert stopped.tokens == full.tokens[: place + 1]
    text = base.tokenizer.decode(full.tokens[3:5], skip_special_tokens=False)
    by_text = run(base, request(stop_strings=(text,)))[0].sequences[0]
    assert by_text.stopped
    assert text in base.tokenizer.decode(by_text.tokens, skip_special_tokens=False)
    assert len(by_text.tokens) <= 5


@pytest.mark.parametrize("temperature", [1e-320, 1e-300, 1e-10])
@pytest.mark.parametrize("top_p", [0.5, 1.0])
def test_a_tiny_temperature_is_greedy(base: BaseModel, temperature: float, top_p: float):
    """Temperatures down to the smallest number draw what greedy generation takes."""
    greedy, cold = run(base, request(), request(temperature=temperature, top_p=top_p))
    assert cold.sequences[0].tokens == greedy.sequences[0].tokens


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_weights_without_numbers_are_told(base: BaseModel, temperature: float):
    """A diverged adapter gets a sentence, not arbitrary tokens."""

    def diverged(_name: str, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, weight) * float("nan")

    with pytest.raises(RequestError, match="diverged"):
        generate(base.model, diverged, base.tokenizer, [request(temperature=temperature, top_p=0.9)])
