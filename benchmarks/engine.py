"""Measure the server against the bare computation, side by side in one run.

    python benchmarks/engine.py

Run it alone on the machine. Figures are medians on the bundled base model, rank 32.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import torch

from symptoms.data import load_experiment
from symptoms.service import LocalServer, connect
from symptoms.taxonomy import conditions
from symptoms.tokens import prompt_tokens, to_datum, tokenize
from tinker_local.domain.datum import Datum
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model

STEPS = 60
DATA = Path(__file__).parent.parent / "mental_health_data.json"


def milliseconds(action: Callable[[], object], times: int) -> float:
    """Median time of an action."""
    seconds: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1e3


def main() -> None:
    """Measure, and print a line for each figure."""
    started = time.perf_counter()
    with connect("local") as service:
        from tinker import AdamParams, ModelInput, SamplingParams

        adam = AdamParams(learning_rate=1e-4, beta1=0.9, beta2=0.95, eps=1e-8)
        training = service.client.create_lora_training_client(base_model=service.base_model, rank=32).result()
        tokenizer = service.tokenizer(training)
        examples = [tokenize(tokenizer, one) for one in load_experiment(DATA)[0].examples]
        example = examples[0]
        datum = to_datum(example)

        def step() -> None:
            gradients, update = training.forward_backward([datum], "cross_entropy"), training.optim_step(adam)
            gradients.result()
            update.result()

        step()
        first_step = time.perf_counter() - started

        arrays = {
            "target_tokens": np.array(example.tokens[1:]),
            "weights": np.array(example.weights[1:], dtype=np.float32),
        }
        base = load_base_model("symptoms-base", "auto", torch.device("cpu")).model
        bare = TrainingModel(base, Adapter.initial(base.config, LoraConfig(32), 0, torch.device("cpu")))
        settings = AdamSettings(1e-4, 0.9, 0.95, 1e-8, 0.0, 0.0)

        def bare_step() -> None:
            bare.forward_backward([Datum(np.array(example.tokens[:-1]), arrays)], "cross_entropy", False)
            bare.optim_step(settings)

        # In turns, so that whatever else the machine does falls on both.
        rounds = [(milliseconds(bare_step, STEPS // 3), milliseconds(step, STEPS // 3)) for _ in range(3)]
        alone, sequential = (median(column) for column in zip(*rounds, strict=True))

        def pipelined() -> None:
            waiting = [
                (training.forward_backward([datum], "cross_entropy"), training.optim_step(adam))
                for _ in range(STEPS)
            ]
            for gradients, update in waiting:
                gradients.result()
                update.result()

        piped = milliseconds(pipelined, 3) / STEPS
        sampler = training.save_weights_and_get_sampling_client().result()
        prompt = ModelInput.from_ints(prompt_tokens(tokenizer, "I cannot sleep."))
        params = SamplingParams(max_tokens=64, temperature=1.0, stop=[])
        one = milliseconds(lambda: sampler.sample(prompt, 1, params).result(), 5)

        def many() -> None:
            for future in [sampler.sample(prompt, 1, params) for _ in range(32)]:
                future.result()

        thirty_two = milliseconds(many, 3)
        description = list(example.tokens[:64])
        labels = [f" Primary concern: {condition.label}\n" for condition in conditions()]
        endings = [
            tokenizer.encode(one, add_special_tokens=False, split_special_tokens=True) for one in labels
        ]
        candidates = [ModelInput.from_ints([*description, *ending]) for ending in endings]

        def score_together() -> None:
            for future in [sampler.compute_logprobs(candidate) for candidate in candidates]:
                future.result()

        def score_apart() -> None:
            for candidate in candidates:
                sampler.compute_logprobs(candidate).result()

        together, apart = milliseconds(score_together, 3), milliseconds(score_apart, 3)
        assert isinstance(service.server, LocalServer)
        resident = psutil.Process(service.server.pid).memory_info().rss / 2**20

    rows = [
        (f"a training step of {example.num_tokens} tokens, computation alone", f"{alone:.1f} ms"),
        ("the same through the SDK, one after another", f"{sequential:.1f} ms (+{sequential - alone:.1f})"),
        ("the same through the SDK, all submitted ahead", f"{piped:.1f} ms ({piped - alone:+.1f})"),
        ("sampling 64 tokens, one request", f"{64e3 / one:.0f} tokens/s"),
        ("sampling 64 tokens, 32 requests at once", f"{32 * 64e3 / thirty_two:.0f} tokens/s"),
        ("30 candidates of one prompt, asked together", f"{together:.0f} ms"),
        ("30 candidates of one prompt, one by one", f"{apart:.0f} ms ({apart / together:.1f} times)"),
        ("from the start to the end of the first step", f"{first_step:.1f} s"),
        ("resident memory of the server", f"{resident:.0f} MiB"),
    ]
    for name, figure in rows:
        print(f"{name:55} {figure}")


if __name__ == "__main__":
    main()
