"""Generation and prompt scoring of a few requests at once, for those who have no server."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.infer.speculation import Guesses
from tinker_local.engine.model.llama import Llama, Projection


def generate(
    model: Llama,
    project: Projection,
    tokenizer: Tokenizer,
    requests: Sequence[GenerationRequest],
    guesses: Guesses | None = None,
) -> list[GenerationResult]:
    """Continue every prompt. Raises what a request fails with.

    `guesses` learn from what is generated here, and make a single sequence faster.
    """
    weights = SamplingWeights(model, tokenizer, lambda: (model, project), guesses or Guesses())
    return generate_with(Scheduler(), weights, requests)


def generate_with(
    scheduler: Scheduler, weights: SamplingWeights, requests: Sequence[GenerationRequest]
) -> list[GenerationResult]:
    """The same with a scheduler that may know the prompts already."""
    outcomes: list[GenerationResult | Exception | None] = [None] * len(requests)
    for number, request in enumerate(requests):

        def note(outcome: GenerationResult | Exception, number: int = number) -> None:
            outcomes[number] = outcome

        scheduler.submit(Job(weights, request, note, note))
    while any(outcome is None for outcome in outcomes):
        scheduler.step()
    results: list[GenerationResult] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None
        results.append(outcome)
    return results
