"""Worker: a training step of this engine, without the server around it."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch

from benchmarks.pipe import Prepared, Settings, serve
from benchmarks.rows import random_rows
from benchmarks.timing import seconds_each
from tinker_local.domain.datum import Datum
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model


def prepare(settings: Settings) -> Prepared:
    """`model`, `dtype`, `rank`, `count` rows of `length` tokens, of which `trained` count, and `steps`."""
    device = torch.device("cpu")
    base = load_base_model(settings["model"], settings["dtype"], device)
    config = base.model.config
    adapter = Adapter.initial(config, LoraConfig(settings["rank"]), 0, device)
    training = TrainingModel(base.model, adapter, None, base.training_model)
    length, trained = settings["length"], settings["trained"]
    weights = np.zeros(length, dtype=np.float32)
    weights[length - trained :] = 1.0
    datums = [
        Datum(np.array(row[:-1]), {"target_tokens": np.array(row[1:]), "weights": weights})
        for row in random_rows(config.vocab_size, settings["count"], length)
    ]
    adam = AdamSettings(1e-5, 0.9, 0.95, 1e-8, 0.0, 0.0)

    def step() -> float:
        _, metrics = training.forward_backward(datums, "cross_entropy", False)
        training.optim_step(adam)
        return metrics["loss:sum"]

    loss = step() / (trained * len(datums))
    facts = {
        "loss": loss,
        "dtype": str(base.training_dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "versions": {"torch": version("torch")},
    }
    return Prepared({"step": lambda: seconds_each(step, settings["steps"])}, facts)


if __name__ == "__main__":
    serve(prepare)
