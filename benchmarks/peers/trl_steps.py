"""Worker: the same training steps inside the loop of TRL's SFTTrainer."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from importlib.metadata import version
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from benchmarks.peers.peft_step import LINEAR_LAYERS
from benchmarks.pipe import Prepared, Settings, serve
from benchmarks.rows import check_all_are_trained, random_rows

ENDLESS = 100_000
WITHOUT_HEAD = [name for name in LINEAR_LAYERS if name != "lm_head"]


class Stepwise(TrainerCallback):
    """Holds the trainer's loop, which runs in another thread, between pieces of some steps each."""

    def __init__(self, before: int, counted: int) -> None:
        self._before, self._each = before, before + counted
        self._go: queue.Queue[None] = queue.Queue()
        self._done: queue.Queue[float | BaseException] = queue.Queue()
        self._step = 0
        self._started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Wait to be told at the first step of a repetition; start the clock once the first are done."""
        if self._step % self._each == 0:
            self._go.get()
        if self._step % self._each == self._before:
            self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Hand over seconds a step at the last step of a repetition."""
        self._step += 1
        if self._step % self._each == 0:
            seconds = time.perf_counter() - self._started
            self._done.put(seconds / (self._each - self._before))

    def fail(self, error: BaseException) -> None:
        """Hand over an error in place of a time, so that nobody waits for one."""
        self._done.put(error)

    def piece(self) -> float:
        """Mean seconds of the steps that count in the next piece."""
        self._go.put(None)
        outcome = self._done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def prepare(settings: Settings) -> Prepared:
    """As for peft, but with no adapter on the head, which TRL refuses.

    Without gradient checkpointing, which is TRL's default and costs a third of the speed.
    """
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=getattr(torch, settings["dtype"]))
    length, trained = settings["length"], settings["trained"]
    mask = [0] * (length - trained) + [1] * trained
    rows = random_rows(model.config.vocab_size, settings["count"], length)
    data = Dataset.from_list([{"input_ids": row[:-1], "completion_mask": mask} for row in rows])
    before, counted = settings["steps"]
    stepwise = Stepwise(before, counted)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=settings["count"],
            max_length=None,  # its default cuts at 1,024
            max_steps=ENDLESS,
            learning_rate=1e-5,
            adam_beta2=0.95,
            lr_scheduler_type="constant",
            bf16=False,  # no autocast: the weights have the type that is measured
            use_cpu=True,
            gradient_checkpointing=False,
            max_grad_norm=0.0,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(settings["model"]),
            peft_config=LoraConfig(
                r=settings["rank"], lora_alpha=32, target_modules=WITHOUT_HEAD, task_type="CAUSAL_LM"
            ),
            callbacks=[stepwise],
        )

    check_all_are_trained(trainer.train_dataset["input_ids"], settings["count"], length)

    def train() -> None:
        try:
            trainer.train()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            stepwise.fail(error)

    threading.Thread(target=train, daemon=True).start()
    facts = {
        "dtype": settings["dtype"],
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "trl")},
    }
    return Prepared({"step": stepwise.piece}, facts)


if __name__ == "__main__":
    serve(prepare)
