"""Worker: the real server, driven through the Tinker SDK, as any user's program would."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import cycle
from typing import TYPE_CHECKING, Any

from benchmarks.pipe import Prepared, Settings, serve
from benchmarks.rows import random_rows
from benchmarks.timing import seconds_each
from symptoms.classifier.label_scoring import submit_by_paths
from symptoms.service import LocalServer, connect
from symptoms.service.path_scorer import PathScorer
from symptoms.tokens import concern_beginnings

if TYPE_CHECKING:
    import tinker


def prepare_with(stack: ExitStack, settings: Settings) -> Prepared:
    """A server of `model`, and what `training` or `sampling` of the settings ask of it."""
    service = stack.enter_context(connect("local", settings["model"]))
    assert isinstance(service.server, LocalServer)
    client = service.client.create_lora_training_client(base_model=service.base_model, rank=32).result()
    actions: dict[str, Callable[[], float]] = {}
    if "training" in settings:
        actions["step"] = training_step(client, settings["training"])
    if "sampling" in settings:
        sampler = client.save_weights_and_get_sampling_client().result()
        names = settings["sampling"].get("names", [])
        # Of each label as many tokens as tell it from the others, which is what the classifier scores.
        beginnings = [*map(tuple, concern_beginnings(service.tokenizer(), names))] if names else []
        scorer = service.path_scorer(sampler)
        assert scorer is not None, "our own server scores paths"
        actions |= sampling(sampler, scorer, settings["sampling"], beginnings)
    facts = {"versions": {"tinker": version("tinker"), "torch": version("torch")}}
    return Prepared(actions, facts, service.server.pid)


def training_step(client: tinker.TrainingClient, settings: Settings) -> Callable[[], float]:
    """A step of `count` rows of `length` random tokens, of which `trained` count."""
    from tinker import AdamParams, Datum, ModelInput, TensorData

    length = settings["length"]
    weights = [0.0] * (length - settings["trained"]) + [1.0] * settings["trained"]
    datums = [
        Datum(
            model_input=ModelInput.from_ints(row[:-1]),
            loss_fn_inputs={
                "target_tokens": TensorData(data=row[1:], dtype="int64", shape=[length]),
                "weights": TensorData(data=weights, dtype="float32", shape=[length]),
            },
        )
        for row in random_rows(settings["vocabulary"], settings["count"], length)
    ]
    adam = AdamParams(learning_rate=1e-5, beta1=0.9, beta2=0.95, eps=1e-8)

    def step() -> None:
        gradients, update = client.forward_backward(datums, "cross_entropy"), client.optim_step(adam)
        gradients.result()
        update.result()

    return lambda: seconds_each(step, settings["steps"])


def sampling(
    sampler: tinker.SamplingClient,
    scorer: PathScorer,
    settings: Settings,
    beginnings: Sequence[tuple[int, ...]],
) -> dict[str, Callable[[], float]]:
    """Writing one or `many` sequences of `new_tokens`, and scoring the `labels` behind one prompt.

    Each time takes prompts that were not read before: a cache of beginnings, or guesses from earlier
    answers, would else make the second time another work than the first.
    """
    from tinker import ModelInput, SamplingParams

    prompts = cycle(settings["prompts"])
    labels = settings.get("labels", [])

    def next_prompt() -> Any:
        return ModelInput.from_ints(next(prompts))

    def write(count: int) -> float:
        params = SamplingParams(max_tokens=settings["new_tokens"], temperature=1.0, stop=[])
        chosen = [next_prompt() for _ in range(count)]
        started = time.perf_counter()
        futures = [sampler.sample(prompt, 1, params) for prompt in chosen]
        written = sum(len(future.result().sequences[0].tokens) for future in futures)
        return (time.perf_counter() - started) / written

    def score(endings: list[list[int]]) -> float:
        prompt = next(prompts)
        candidates = [ModelInput.from_ints([*prompt, *ending]) for ending in endings]
        started = time.perf_counter()
        for future in [sampler.compute_logprobs(candidate) for candidate in candidates]:
            future.result()
        return time.perf_counter() - started

    def score_by_paths() -> float:
        started = time.perf_counter()
        submit_by_paths(scorer, next(prompts), beginnings)()
        return time.perf_counter() - started

    def read() -> float:
        prompt = next_prompt()
        started = time.perf_counter()
        sampler.sample(prompt, 1, SamplingParams(max_tokens=1, temperature=1.0, stop=[])).result()
        return time.perf_counter() - started

    return {
        "one": lambda: write(1),
        "many": lambda: write(settings["many"]),
        "labels": lambda: score(labels),
        "named labels": score_by_paths,
        "prompt": lambda: score([[]]),
        "first token": read,
    }


if __name__ == "__main__":
    with ExitStack() as stack:
        serve(lambda settings: prepare_with(stack, settings))
