"""Fine-tune all weights of the bundled base, to be compared with an adapter on the same batches.

    python benchmarks/all_weights.py --learning-rate 1e-3 --seed 0 --out build/all-weights-0
    symptoms train --data data/train-900.jsonl --dev data/dev.jsonl --base-model build/all-weights-0 \
        --steps 1 --learning-rate 1e-12 --examples-per-condition 10 --seed 0 --run all-weights-0
    symptoms evaluate all-weights-0 --data data/test.jsonl

The Tinker API trains adapters only, so this computes in the process itself. The second command lays an
adapter over the result that has learnt nothing, so that the third measures it as it does every other run.
The batches, their order, the weights of their tokens and the schedule are those of `symptoms train` with its
recommended settings, with 10 examples of each condition as in `sweeps/findings.toml`; the learning rate and
its weight decay are told.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from symptoms.settings import TrainingSettings
from symptoms.tokens import FileTokenizer, to_datum
from symptoms.train.request.recommended_settings import resolve
from symptoms.train.request.training_data import load_training_data, subset_of
from symptoms.train.step_plan import plan_steps
from symptoms.train.tokenized_job import prepare
from tinker_local.engine.model.llama import Llama
from tinker_local.loading import load_base_model

ROOT = Path(__file__).parent.parent
BASE_MODEL = "symptoms-base"
EVALUATED_TOGETHER = 30


def summed_loss(model: Llama, datums: Sequence[Any]) -> Tensor:
    """The sum over all tokens of weight times negative log-likelihood, in nats; the datums are the SDK's."""
    rows = [
        (
            datum.model_input.to_ints(),
            datum.loss_fn_inputs["target_tokens"].tolist(),
            datum.loss_fn_inputs["weights"].tolist(),
        )
        for datum in datums
    ]
    longest = max(len(read) for read, _, _ in rows)
    tokens = torch.tensor([read + [0] * (longest - len(read)) for read, _, _ in rows])
    targets = torch.tensor([wanted + [0] * (longest - len(wanted)) for _, wanted, _ in rows])
    weights = torch.tensor([given + [0.0] * (longest - len(given)) for _, _, given in rows])
    trained = weights > 0
    # Scoring the vocabulary is most of the work, so it is done where a token is trained, and only there.
    logprobs = model.logits(model.hidden(tokens)[trained]).log_softmax(dim=-1)
    return -(logprobs.gather(1, targets[trained][:, None])[:, 0] * weights[trained]).sum()


def main() -> None:
    """Train as the options say, print the dev loss of each epoch, and write the last weights into `--out`."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--learning-rate", type=float, required=True)
    arguments.add_argument("--weight-decay", type=float, default=0.1)
    arguments.add_argument("--examples-per-condition", type=int, default=10)
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    base = load_base_model(BASE_MODEL, "float32", torch.device("cpu"))
    told = TrainingSettings.of(
        {
            "data": str(ROOT / "data" / "train-900.jsonl"),
            "dev": str(ROOT / "data" / "dev.jsonl"),
            "examples_per_condition": options.examples_per_condition,
            "epochs": options.epochs,
            "learning_rate": options.learning_rate,
            "seed": options.seed,
            "best_by": "dev_concern_loss",  # only so that the job holds what that loss is computed from
        }
    )
    settings = resolve(told, None, BASE_MODEL).settings
    data = load_training_data(ROOT / "data" / "train-900.jsonl", "train")
    data = subset_of(data, options.examples_per_condition, options.seed)
    dev = load_training_data(ROOT / "data" / "dev.jsonl", "dev")
    job = prepare(settings, data, dev, FileTokenizer(base.folder), context=None)
    weights = {name: weight.clone().requires_grad_() for name, weight in base.model.weights.items()}
    model = Llama(base.model.config, weights)
    optimizer = torch.optim.AdamW(
        weights.values(),
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_eps,
        weight_decay=options.weight_decay,
    )
    on_concerns = [to_datum(example) for example in job.dev_concerns]
    for step in plan_steps(settings, job.batches.kinds):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(step.number, job.num_steps)
        loss = sum((summed_loss(model, datums) for datums in job.batches.of(step)), start=torch.zeros(()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step.ends_epoch:
            with torch.inference_mode():
                parts = [
                    summed_loss(model, on_concerns[first : first + EVALUATED_TOGETHER]).item()
                    for first in range(0, len(on_concerns), EVALUATED_TOGETHER)
                ]
            mean = sum(parts) / len(on_concerns)
            print(f"epoch {step.epoch}: dev loss of the concern's line {mean:.3f} an example", flush=True)
    shutil.copytree(base.folder, options.out, dirs_exist_ok=True)
    save_file(
        {name: weight.detach() for name, weight in weights.items()},
        options.out / "model.safetensors",
        metadata={"format": "pt"},
    )


if __name__ == "__main__":
    main()
