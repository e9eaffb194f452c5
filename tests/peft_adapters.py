"""Adapters that peft makes and saves, as people bring them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from checkpoints_to_export import PROMPT

EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]


def made_by_peft(base: Path, folder: Path, **settings: Any) -> torch.Tensor:
    """An adapter that peft makes and saves; returns what base and adapter compute in peft."""
    torch.manual_seed(3)
    chosen: dict[str, Any] = {"r": 4, "target_modules": EVERY, "task_type": "CAUSAL_LM", **settings}
    config = LoraConfig(**chosen)
    with warnings.catch_warnings():
        # It warns of a head that is tied, which is what some tests are about.
        warnings.simplefilter("ignore")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    with warnings.catch_warnings():
        # It says that it saves the embeddings, too, since the unembedding has a term.
        warnings.simplefilter("ignore")
        model.save_pretrained(str(folder))
    with torch.no_grad():
        return model(torch.tensor([PROMPT])).logits[0]
