"""Worker: the texts through mlx-lm's trainer on the CPU; the second argument has settings that differ.

`one_past_the_end` false has its loss without the target behind a text's end token.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
from mlx.utils import tree_unflatten
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import CacheDataset, TextDataset
from mlx_lm.tuner.trainer import TrainingArgs, default_loss, train
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load

from benchmarks.crossed import ingredients as given


class Told(TrainingCallback):
    """Keeps the losses that the trainer reports."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """Called by the trainer with a step's figures."""
        self.losses.append(train_info["train_loss"])


def without_what_follows_the_end(model: Any, batch: mx.array, lengths: mx.array) -> tuple[mx.array, mx.array]:
    """mlx-lm's loss with the last target of each text left out, which stands behind the end token."""
    return default_loss(model, batch, mx.concatenate([lengths[:, :1], lengths[:, 1:] - 1], axis=1))


def main() -> None:
    """Train, and tell the loss of each step."""
    settings = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    past_the_end = settings.pop("one_past_the_end", True)
    adam = settings.pop("adam", {"bias_correction": True})
    mx.set_default_device(mx.cpu)
    model, tokenizer = load(str(given.folder() / "model"))
    model.freeze()
    linear_to_lora_layers(model, -1, {"rank": given.RANK, "scale": given.SCALE, "dropout": 0.0})
    first = mx.load(str(given.folder() / "first.safetensors"))
    model.update(tree_unflatten([(f"{name}.lora_a", first[name].T) for name in given.layer_names(2)]))
    told = Told()
    with tempfile.TemporaryDirectory() as output:
        arguments = {
            "batch_size": len(given.TEXTS), "iters": given.STEPS, "steps_per_report": 1,
            "adapter_file": str(Path(output) / "adapters.safetensors"), **settings,
        }  # fmt: skip
        train(
            model,
            optim.Adam(learning_rate=given.RATE, betas=list(given.BETAS), eps=given.EPS, **adam),
            CacheDataset(TextDataset([{"text": text} for text in given.TEXTS], tokenizer)),
            args=TrainingArgs(**arguments),
            loss=default_loss if past_the_end else without_what_follows_the_end,
            training_callback=told,
        )
    given.tell(told.losses)


if __name__ == "__main__":
    main()
