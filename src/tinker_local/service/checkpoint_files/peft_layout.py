"""PEFT's layout of an adapter: the names of its tensors and its adapter_config.json."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tinker_local.engine.model.lora import Adapter, LoraConfig

TARGET_MODULES = {
    "train_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "train_mlp": ("gate_proj", "up_proj", "down_proj"),
    "train_unembed": ("lm_head",),
}


def peft_names(layer: str) -> tuple[str, str]:
    """The names of a layer's matrices A and B."""
    prefix = f"base_model.model.{layer}"
    return f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight"


def peft_tensors(adapter: Adapter) -> dict[str, Tensor]:
    """An adapter's matrices by name, copied to the CPU."""
    tensors: dict[str, Tensor] = {}
    for layer, pair in adapter.matrices.items():
        for key, matrix in zip(peft_names(layer), pair, strict=True):
            tensors[key] = matrix.detach().cpu().clone()
    return tensors


def peft_config(base_model: str, config: LoraConfig) -> dict[str, Any]:
    """The contents of adapter_config.json."""
    modules = [name for flag, names in TARGET_MODULES.items() if getattr(config, flag) for name in names]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": modules,
    }
