"""How far a training in bfloat16 goes from the same one in float32: a table of docs/log.md.

python -m benchmarks.crossed.bfloat16_drift 2000      # steps; some ten minutes on one core

Three trainings of the bundled base in turn, step by step, on the same examples of data/train.jsonl, one a
step: in float32; in float32 from an A that differs in the last digit, which shows how far any two trainings
part; and with the base's weights and products in bfloat16, adapter and Adam in float32 as always.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import torch

from base_models import BUNDLED_BASE, resolve
from benchmarks.places import ROOT
from symptoms.data.dataset import load_dataset
from symptoms.schedules import fraction_of_peak
from symptoms.tokens.example_tokens import TokenizedExample, tokenize
from symptoms.tokens.file_tokenizer import FileTokenizer
from tinker_local.domain.datum import Datum
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model

CPU = torch.device("cpu")
RATE, RANK = 2e-3, 32
WAYS = {"float32": "float32", "float32, last digit": "float32", "bfloat16": "bfloat16"}
SHOWN = (1, 10, 100, 300, 1000, 2000, 3000, 5000)
DEV = 60


def main() -> None:
    """Train the three in turn for so many steps (2000 where none are told), and print a line now and then."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    tokenizer = FileTokenizer(resolve(BUNDLED_BASE).path)
    data, held_out = (
        [datum(tokenize(tokenizer, one)) for one in load_dataset(ROOT / "data" / f"{name}.jsonl").examples]
        for name in ("train", "dev")
    )
    held_out = held_out[:DEV]
    trainings = {name: training(dtype, name.endswith("digit")) for name, dtype in WAYS.items()}
    start = trainings["float32"].adapter.flat.clone()
    order = np.random.default_rng(0).permutation(len(data))
    recent: dict[str, list[float]] = {name: [] for name in WAYS}
    print("| step | training | loss since the step above | dev loss | apart, of the way |")
    print("|---|---|---|---|---|")
    for step in range(1, steps + 1):
        one = data[order[(step - 1) % len(order)]]
        rate = RATE * fraction_of_peak("linear", step, steps, warmup_steps=0)
        for name, each in trainings.items():
            recent[name].append(loss(each, [one], forward_only=False))
            each.optim_step(AdamSettings(rate, 0.9, 0.95, 1e-8, 0.0, 0.0))
        if step in (*SHOWN, steps):
            reference = trainings["float32"].adapter.flat
            way = float((reference - start).norm())
            for name, each in trainings.items():
                apart = float((each.adapter.flat - reference).norm()) / way
                mean, dev = np.mean(recent[name]), loss(each, held_out, forward_only=True)
                print(f"| {step} | {name} | {mean:.4f} | {dev:.4f} | {apart:.1%} |", flush=True)
                recent[name].clear()
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {step}\n")


def training(dtype: str, other_digit: bool) -> TrainingModel:
    """A training that begins with the same A, or with one a last digit away."""
    base = load_base_model(BUNDLED_BASE, dtype, CPU).training_model()
    adapter = Adapter.initial(base.config, LoraConfig(RANK), 0, CPU)
    if other_digit:
        adapter.flat.copy_(torch.nextafter(adapter.flat, 2 * adapter.flat))
    return TrainingModel(base, adapter)


def datum(example: TokenizedExample) -> Datum:
    """As the lab sends one, its weights a mean over its trained tokens."""
    tokens, weights = np.array(example.tokens), np.array(example.weights[1:], np.float32)
    return Datum(tokens[:-1], {"target_tokens": tokens[1:], "weights": weights / weights.sum()})


def loss(training: TrainingModel, datums: Sequence[Datum], forward_only: bool) -> float:
    """The mean over the datums of each one's mean over its trained tokens, in nats."""
    outputs, _ = training.forward_backward(datums, "cross_entropy", forward_only=forward_only)
    each = [
        float((one.fields["logprobs"] * each.loss_inputs["weights"]).sum())
        for one, each in zip(outputs, datums, strict=True)
    ]
    return -sum(each) / len(each)


if __name__ == "__main__":
    main()
