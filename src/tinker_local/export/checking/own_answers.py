"""What our own engine answers: the reference that an export is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.networks.networks import Networks
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.model.lora import Adapter
from tinker_local.export.checking.questions import MOST_NEW_TOKENS, Questions
from tinker_local.export.source import Source

RANKED = 30
"""How many of the likeliest next tokens are ranked where no lines are given."""


@dataclass(frozen=True)
class OwnAnswer:
    """What the engine answers to one prompt.

    `tokens` is its greedy continuation, `leads` by how much, in nats, each of them is likelier than the next
    likely token. `scores` has the log-probability of each line of `lines` behind the prompt, in nats.
    """

    tokens: tuple[int, ...]
    leads: tuple[float, ...]
    lines: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]


def own_answers(
    source: Source, questions: Questions, tell: Callable[[int], None] = lambda _: None
) -> list[OwnAnswer]:
    """Answers in the prompts' order; raises RequestError for a prompt that leaves no room.

    `tell` is given how many are done.
    """
    networks = Networks()
    weights = SamplingWeights(
        source.base.model,
        source.base.tokenizer,
        # As the server samples.
        lambda: networks.get(source.base.sampling_model(), source.adapter),
    )
    scheduler = Scheduler()
    context = source.base.model.config.max_position_embeddings
    answers: list[OwnAnswer] = []
    for number, prompt in enumerate(questions.prompts):
        request = GenerationRequest(
            prompt.tokens,
            max_tokens=max(min(MOST_NEW_TOKENS, context - len(prompt.tokens)), 1),
            stop_tokens=source.base.end_tokens,
            stop_strings=(questions.stop,) if questions.stop else (),
            top_sample_logprobs=RANKED,
        )
        [written] = _run(scheduler, weights, [request])
        [sequence] = written.sequences
        assert sequence.top is not None, "the likeliest tokens were asked for"
        top = sequence.top
        lines = questions.lines or tuple((int(token),) for token in top.token_ids[0])
        if questions.lines:
            start = len(prompt.tokens)
            asked = [
                GenerationRequest((*prompt.tokens, *line), prompt_logprobs=True, scored_from=start)
                for line in lines
            ]
            scored = _run(scheduler, weights, asked)
            scores = [_line_score(result, len(line)) for result, line in zip(scored, lines, strict=True)]
        else:
            scores = [float(logprob) for logprob in top.logprobs[0]]
        leads = tuple(float(row[0] - row[1]) for row in top.logprobs)
        answers.append(OwnAnswer(tuple(sequence.tokens), leads, lines, tuple(scores)))
        tell(number + 1)
    return answers


def bare_answers(
    source: Source,
    questions: Questions,
    own: Sequence[OwnAnswer],
    tell: Callable[[int], None] = lambda _: None,
) -> Iterator[OwnAnswer]:
    """What the base answers without the adapter, the lines of `own` scored; each when it is asked for."""
    adapter = source.adapter
    nothing = Adapter(adapter.model, adapter.config, torch.zeros_like(adapter.flat))
    base = replace(source, adapter=nothing)
    for number, (prompt, answer) in enumerate(zip(questions.prompts, own, strict=True)):
        yield from own_answers(base, Questions((prompt,), answer.lines, questions.stop))
        tell(number + 1)


def _line_score(result: GenerationResult, length: int) -> float:
    logprobs = result.prompt.logprobs
    assert logprobs is not None, "the line's tokens were asked for"
    return float(logprobs[-length:].sum())


def _run(
    scheduler: Scheduler, weights: SamplingWeights, asked: Sequence[GenerationRequest]
) -> list[GenerationResult]:
    """Results in the requests' order; raises the first failure."""
    results: dict[int, GenerationResult] = {}
    failures: list[Exception] = []
    for number, request in enumerate(asked):

        def keep(result: GenerationResult, number: int = number) -> None:
            results[number] = result

        scheduler.submit(Job(weights, request, keep, failures.append))
    while scheduler.has_work and not failures:
        scheduler.step()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(asked))]
