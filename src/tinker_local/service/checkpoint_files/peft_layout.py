"""PEFT's layout of an adapter: the names of its tensors and its adapter_config.json.

An adapter that ships is kept in eight bits: each matrix as int8, with a float32 scale for each of its ranks
beside it, under the same name and `SCALE`. PEFT does not read that; an export of it does PEFT good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinker_local.engine.model.lora import Adapter, LoraConfig

TARGET_MODULES = {
    "train_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "train_mlp": ("gate_proj", "up_proj", "down_proj"),
    "train_unembed": ("lm_head",),
}


SCALE = "_scale"


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


def in_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The matrices of `peft_tensors` as int8, each rank's numbers from -127 to 127, and their scales."""
    packed: dict[str, Tensor] = {}
    for name, matrix in tensors.items():
        across = _across_ranks(name)
        # A rank without an effect has no scale to find.
        scale = (matrix.abs().amax(across, keepdim=True) / 127).clamp(min=1e-30)
        packed[name] = (matrix / scale).round().to(torch.int8)
        packed[name + SCALE] = scale
    return packed


def stored_matrix(tensors: Mapping[str, Tensor], name: str) -> npt.NDArray[np.float32] | None:
    """A matrix as it was stored, in float32 or in eight bits; None where it is neither, or not there."""
    matrix, scale = tensors.get(name), tensors.get(name + SCALE)
    if matrix is None:
        return None
    if matrix.dtype == torch.float32:
        return matrix.numpy()
    if matrix.dtype != torch.int8 or scale is None or scale.dtype != torch.float32 or matrix.ndim != 2:
        return None
    ranks = matrix.shape[1 - _across_ranks(name)]
    if scale.shape != ((ranks, 1) if _across_ranks(name) else (1, ranks)):
        return None
    return matrix.numpy() * scale.numpy()


def _across_ranks(name: str) -> int:
    """The dimension along which one rank's numbers lie: a row of A, a column of B."""
    return 1 if "lora_A" in name else 0


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
