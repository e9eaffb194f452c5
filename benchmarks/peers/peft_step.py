"""Worker: the same training step by transformers and peft, in the plain loop of their documentation."""

from __future__ import annotations

from importlib.metadata import version

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from benchmarks.pipe import Prepared, Settings, serve
from benchmarks.rows import random_rows
from benchmarks.timing import seconds_each

LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]


def adapted(settings: Settings) -> torch.nn.Module:
    """The model with an adapter as the service makes it: on all linear layers and the head, alpha 32.

    peft keeps the adapters of a bfloat16 model in float32 unless `adapters` says otherwise.
    """
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=getattr(torch, settings["dtype"]))
    config = LoraConfig(
        r=settings["rank"], lora_alpha=32, target_modules=LINEAR_LAYERS, task_type="CAUSAL_LM"
    )
    wide = settings.get("adapters", "float32") == "float32"
    return get_peft_model(model, config, autocast_adapter_dtype=wide).train()


def prepare(settings: Settings) -> Prepared:
    """As ours: `count` rows of `length` tokens, of which the last `trained` count."""
    torch.manual_seed(0)
    model = adapted(settings)
    optimizer = torch.optim.AdamW(
        [each for each in model.parameters() if each.requires_grad], lr=1e-5, betas=(0.9, 0.95), fused=True
    )
    length, trained = settings["length"], settings["trained"]
    rows = torch.tensor(random_rows(model.config.vocab_size, settings["count"], length))
    inputs, targets = rows[:, :-1].contiguous(), rows[:, 1:].clone()
    targets[:, : length - trained] = -100

    def step() -> float:
        loss = model(input_ids=inputs, labels=targets, shift_labels=targets, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss)

    loss = step()
    facts = {
        "loss": loss,
        "dtype": settings["dtype"],
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
    return Prepared({"step": lambda: seconds_each(step, settings["steps"])}, facts)


if __name__ == "__main__":
    serve(prepare)
