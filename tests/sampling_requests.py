"""Requests and weights for tests of generation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.networks.network import Network, TorchNetwork
from tinker_local.engine.infer.networks.networks import Networks
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.infer.speculation import PromptLookup
from tinker_local.engine.model.llama import Llama, Projection, plain_projection
from tinker_local.loading import BaseModel


def request(prompt: tuple[int, ...], **changes: Any) -> GenerationRequest:
    """A greedy request without any stop, but for the changes."""
    settings: dict[str, Any] = {
        "num_samples": 1,
        "max_tokens": 20,
        "temperature": 0.0,
        "top_k": -1,
        "top_p": 1.0,
        "seed": 0,
        "stop_tokens": frozenset(),
        "stop_strings": (),
        "prompt_logprobs": False,
        **changes,
    }
    return GenerationRequest(prompt=prompt, **settings)


def random_prompt(base: BaseModel, length: int, seed: int = 0) -> tuple[int, ...]:
    """So many tokens of the vocabulary, by a seed."""
    draw = random.Random(seed)
    return tuple(draw.randrange(base.model.config.vocab_size) for _ in range(length))


def weights_of(base: BaseModel) -> SamplingWeights:
    """The bare base as the server samples from it, with nothing remembered."""
    network = Networks().get(base.sampling_model(), None)
    return SamplingWeights(base.model, base.tokenizer, lambda: network)


class Submitted:
    """A request in a scheduler, whose outcome is noted."""

    def __init__(
        self, scheduler: Scheduler, weights: SamplingWeights, asked: GenerationRequest, wanted: bool = True
    ) -> None:
        self.scheduler = scheduler
        self.outcome: GenerationResult | Exception | None = None
        self.wanted = wanted
        scheduler.submit(Job(weights, asked, self._note, self._note, lambda: self.wanted))

    def _note(self, outcome: GenerationResult | Exception) -> None:
        self.outcome = outcome

    def result(self) -> GenerationResult:
        """Step until it is there; raises what the request fails with."""
        while self.outcome is None:
            self.scheduler.step()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def generate(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    requests: Sequence[GenerationRequest],
    lookup: PromptLookup | None = None,
) -> list[GenerationResult]:
    """Continue every prompt on a scheduler of their own. `lookup` learns from what is generated here."""
    weights = SamplingWeights(
        model, tokenizer, lambda: TorchNetwork(model, project), lookup or PromptLookup()
    )
    scheduler = Scheduler()
    submitted = [Submitted(scheduler, weights, request) for request in requests]
    return [one.result() for one in submitted]


def assert_steps_equal(reference: PreTrainedModel, base: BaseModel, *prompts: Sequence[int]) -> None:
    """Prompts, prefilled together and continued token by token, score as whole texts of transformers do."""
    asked = [request(tuple(prompt), prompt_logprobs=True) for prompt in prompts]
    for prompt, result in zip(
        prompts, generate(base.model, plain_projection, base.tokenizer, asked), strict=True
    ):
        (sequence,) = result.sequences
        tokens = torch.tensor([[*prompt, *sequence.tokens]])
        with torch.no_grad():
            logprobs = torch.log_softmax(reference(tokens).logits[0, :-1].float(), dim=-1)
        expected = logprobs.gather(1, tokens[0, 1:, None])[:, 0]
        assert result.prompt.logprobs is not None
        actual = torch.tensor([*result.prompt.logprobs[1:], *sequence.logprobs])
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


def assert_same_in_any_company(base: BaseModel, network: Network) -> None:
    """A text alone and among so many others that its rows are multiplied in another way, to the last bit."""
    asked = request(random_prompt(base, 45), temperature=1.0, seed=3)
    weights, again = (SamplingWeights(base.model, base.tokenizer, lambda: network) for _ in range(2))
    alone = Submitted(Scheduler(), weights, asked).result()
    scheduler = Scheduler()
    crowd = [
        Submitted(scheduler, again, request(random_prompt(base, 20, n), num_samples=9, seed=n))
        for n in range(4)
    ]
    among = Submitted(scheduler, again, asked).result()
    assert among.sequences[0].tokens == alone.sequences[0].tokens
    assert among.sequences[0].logprobs == alone.sequences[0].logprobs
    for other in crowd:
        other.result()
