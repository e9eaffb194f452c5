"""Worker: the texts through the engine of `tinker_local`, each step one batch, as a mean over its tokens."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from benchmarks.crossed.ingredients import BETAS, EPS, RANK, RATE, STEPS, TEXTS, folder, tell
from tinker_local.domain.datum import Datum
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model


def main() -> None:
    """Train, and tell the loss of each step."""
    cpu = torch.device("cpu")
    base = load_base_model(str(folder() / "model"), "float32", cpu).model
    adapter = Adapter.initial(base.config, LoraConfig(RANK, train_unembed=False), 0, cpu)
    first = load_file(folder() / "first.safetensors")
    for name, (a, _) in adapter.matrices.items():
        a.copy_(first[name])
    training = TrainingModel(base, adapter)
    tokenizer = AutoTokenizer.from_pretrained(folder() / "model")
    rows = [np.array([*tokenizer(text).input_ids, tokenizer.eos_token_id]) for text in TEXTS]
    trained = sum(len(row) - 1 for row in rows)
    datums = [
        Datum(row[:-1], {"target_tokens": row[1:], "weights": np.full(len(row) - 1, 1 / trained, np.float32)})
        for row in rows
    ]
    losses: list[float] = []
    for _ in range(STEPS):
        outputs, _metrics = training.forward_backward(datums, "cross_entropy", forward_only=False)
        logprobs = sum(float(np.asarray(one.fields["logprobs"], np.float64).sum()) for one in outputs)
        losses.append(-logprobs / trained)
        training.optim_step(AdamSettings(RATE, *BETAS, EPS, 0.0, 0.0))
    tell(losses, tokens=trained)


if __name__ == "__main__":
    main()
