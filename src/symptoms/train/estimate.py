"""What a job will take, before it is run: tokens, steps, time, and money on hosted Tinker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from symptoms.service import HOSTED, LOCAL, Service
from symptoms.service.prices import PRICES_PAGE, Price, price_of
from symptoms.train.optimizer_step import submit_step
from symptoms.train.step_plan import Step, plan_steps
from symptoms.train.tokenized_job import Job
from symptoms.words import counted

if TYPE_CHECKING:
    import tinker

MEASURED_STEPS = 3


@dataclass(frozen=True)
class Work:
    """How much a job has to do, over all its steps and evaluations.

    `num_classified_tokens` are read besides where dev texts are classified with one request a label, as
    services other than our own need it; the few tokens of a label's own line are left out.
    """

    num_examples: int
    num_steps: int
    num_tokens: int
    num_trained_tokens: int
    longest: int
    num_evaluations: int
    num_dev_tokens: int
    num_classified_tokens: int = 0


def count_work(job: Job, num_labels: int) -> Work:
    """Count without a service. `num_labels` is how many a dev text is asked about where it is classified."""
    examples = job.batches.examples
    steps = list(plan_steps(job.settings, job.batches.kinds))
    trained_on = [example for step in steps for example in job.batches.trained_on(step)]
    evaluations = sum(job.evaluates(step) for step in steps)
    prompts = sum(example.num_tokens - example.num_trained_tokens for example in job.dev_examples)
    return Work(
        num_examples=len(examples),
        num_steps=job.num_steps,
        num_tokens=sum(example.num_tokens for example in trained_on),
        num_trained_tokens=sum(example.num_trained_tokens for example in trained_on),
        longest=max(example.num_tokens for example in examples),
        num_evaluations=evaluations,
        num_dev_tokens=evaluations * sum(example.num_tokens for example in job.dev_examples),
        num_classified_tokens=evaluations * num_labels * prompts if job.settings.dev_accuracy else 0,
    )


def describe(work: Work, service: Service) -> Iterator[str]:
    """The work in sentences, and its price on hosted Tinker; nothing is spent for it."""
    share = work.num_trained_tokens / work.num_tokens
    yield f"{counted(work.num_examples, 'example')}, the longest of {counted(work.longest, 'token')}"
    trained = f"{work.num_trained_tokens:,} trained ({share:.0%})"
    yield f"{counted(work.num_steps, 'step')} over {counted(work.num_tokens, 'token')}, {trained}"
    if work.num_evaluations:
        evaluations = counted(work.num_evaluations, "evaluation")
        yield f"{evaluations} over {counted(work.num_dev_tokens, 'dev token')} in all"
    if service.kind != LOCAL and work.num_classified_tokens:
        yield f"about {work.num_classified_tokens:,} tokens more to classify dev texts, one request a label"
    if service.kind != HOSTED:
        yield "cost: none, this service is not hosted Tinker"
        return
    price = price_of(service.base_model)
    if price is None:
        yield (
            f"cost: the price of {service.base_model} is not known here; see {PRICES_PAGE}, or read it with: "
            "symptoms models prices --refresh"
        )
        return
    yield (
        f"cost: about ${_dollars(work, price):.2f} at the price of {price.as_of}, ${price.train:g} for a "
        "million tokens of training; read today's with: symptoms models prices --refresh"
    )


def dollars_of(work: Work, service: Service) -> float | None:
    """The price on hosted Tinker of training and evaluating; None where it is not known."""
    price = price_of(service.base_model)
    return None if price is None else _dollars(work, price)


def _dollars(work: Work, price: Price) -> float:
    # What a training client only reads, as the dev data are, costs as much as what it is trained on.
    return price.dollars(work.num_tokens + work.num_dev_tokens, work.num_classified_tokens)


def price_of_measuring(job: Job, service: Service) -> str:
    """What `measure_seconds` trains and costs on hosted Tinker, in words."""
    steps = _steps_to_measure(job)
    tokens = sum(example.num_tokens for step in steps for example in job.batches.trained_on(step))
    price = price_of(service.base_model)
    if price is None:
        costs = f"as much as training on {tokens:,} tokens"
    else:
        dollars = price.dollars(tokens)
        costs = "less than $0.01" if dollars < 0.01 else f"about ${dollars:.2f}"
    return f"trains {counted(len(steps), 'step')} to find out, which costs {costs}"


def measure_seconds(job: Job, training: tinker.TrainingClient, work: Work) -> float:
    """Time for all of the work, from a few steps on an adapter that is then thrown away.

    Checkpoints and evaluations by further metrics are not counted.
    """
    from tinker import AdamParams

    steps = _steps_to_measure(job)
    started, tokens = time.perf_counter(), 0
    for place, step in enumerate(steps):
        if place == 1:
            started, tokens = time.perf_counter(), 0
        submitted = submit_step(training, job.batches.of(step), AdamParams(learning_rate=1e-6))
        for future in (*submitted.gradients, submitted.update):
            future.result()
        tokens += sum(example.num_tokens for example in job.batches.trained_on(step))
    # An evaluation has the forward pass alone, about a third of a step's work.
    return (time.perf_counter() - started) / tokens * (work.num_tokens + work.num_dev_tokens / 3)


def _steps_to_measure(job: Job) -> list[Step]:
    # One more at first, since a service's first step is slower than those that follow.
    return list(islice(plan_steps(job.settings, job.batches.kinds), MEASURED_STEPS + 1))
