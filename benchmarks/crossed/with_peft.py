"""Worker: the texts through a plain loop over PEFT's model and torch's AdamW, padded into one batch."""

from __future__ import annotations

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.crossed import ingredients as given


def adapted_model() -> torch.nn.Module:
    """The model with an adapter on its linear layers that begins with the given A."""
    model = AutoModelForCausalLM.from_pretrained(given.folder() / "model", dtype=torch.float32)
    config = LoraConfig(
        r=given.RANK,
        lora_alpha=int(given.SCALE * given.RANK),
        target_modules=list(given.LAYERS),
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    put_first(adapted)
    return adapted


def put_first(adapted: torch.nn.Module) -> None:
    """Set the A matrices to the given ones."""
    first = load_file(given.folder() / "first.safetensors")
    for name in given.layer_names(2):
        layer = adapted.get_submodule(f"base_model.model.{name}")
        layer.lora_A["default"].weight.data.copy_(first[name])


def main() -> None:
    """Train, and tell the loss of each step and the number of targets in a batch."""
    model = adapted_model()
    tokenizer = AutoTokenizer.from_pretrained(given.folder() / "model")
    rows = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in given.TEXTS]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.eos_token_id] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    labels = ids.masked_fill(mask == 0, -100)
    optimizer = torch.optim.AdamW(
        [one for one in model.parameters() if one.requires_grad],
        given.RATE,
        given.BETAS,
        given.EPS,
        weight_decay=0.0,
    )
    losses: list[float] = []
    for _ in range(given.STEPS):
        optimizer.zero_grad()
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    given.tell(losses, tokens=int(mask[:, 1:].sum()))


if __name__ == "__main__":
    main()
