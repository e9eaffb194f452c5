"""Worker: the texts through TRL's SFTTrainer; the second argument has settings that differ."""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from benchmarks.crossed import ingredients as given
from benchmarks.crossed.with_peft import put_first


class Told(TrainerCallback):
    """Keeps the losses of the trainer's own log."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_log(self, *_: Any, logs: dict[str, float] | None = None, **__: Any) -> None:
        """Called by the trainer with what it logs; its last call, of the whole run, has no `loss`."""
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def main() -> None:
    """Train, and tell the loss of each step and how many rows the trainer has made of the texts."""
    told = Told()
    with tempfile.TemporaryDirectory() as output:
        settings: dict[str, Any] = {
            "per_device_train_batch_size": len(given.TEXTS),
            "max_steps": given.STEPS,
            "learning_rate": given.RATE,
            "adam_beta1": given.BETAS[0],
            "adam_beta2": given.BETAS[1],
            "adam_epsilon": given.EPS,
            "lr_scheduler_type": "constant",
            "max_grad_norm": 0.0,
            "bf16": False,
            "use_cpu": True,
            "gradient_checkpointing": False,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        }
        settings |= json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
        tokenizer = AutoTokenizer.from_pretrained(given.folder() / "model")
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(given.folder() / "model", dtype=torch.float32),
            args=SFTConfig(output_dir=output, **settings),
            train_dataset=Dataset.from_list([{"text": text} for text in given.TEXTS]),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=given.RANK,
                lora_alpha=int(given.SCALE * given.RANK),
                target_modules=list(given.LAYERS),
                task_type="CAUSAL_LM",
            ),
            callbacks=[told],
        )
        put_first(trainer.model)
        trainer.train()
    given.tell(told.losses, rows=len(trainer.train_dataset))


if __name__ == "__main__":
    main()
