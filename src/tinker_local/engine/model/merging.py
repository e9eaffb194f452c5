"""Copies of small models made for sampling: the adapter folded in, and layers of one input joined.

A token of a small model takes less time to compute than to walk through its many operations, and an adapter
doubles their number. Large models gain less from this and would cost their size in memory once more.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tinker_local.engine.model.kept_copies import KeptCopies
from tinker_local.engine.model.llama import ATTENTION, FEED_FORWARD, Llama, joined_name
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.model.packing import packed_matrix

MERGED_UP_TO = 200_000_000
"""Parameters of a model of which a copy with the adapter in it is made for sampling."""
MEMORY = 3 * 2**29
"""Bytes that the copies may take together; the one that was used longest ago goes first."""

PARTS = (
    ("self_attn", ATTENTION),
    ("self_attn", ("o_proj",)),
    ("mlp", FEED_FORWARD),
    ("mlp", ("down_proj",)),
)
"""The linear layers of a block, those together that read the same input."""


def may_be_merged(model: Llama) -> bool:
    """Whether a copy is small, and keeps the adapter's accuracy, which coarser numbers would round away."""
    return model.num_parameters <= MERGED_UP_TO and model.dtype == torch.float32


def folded_weight(model: Llama, adapter: Adapter | None, name: str) -> Tensor:
    """The weight of a linear layer with the adapter's term, or the model's own where there is none."""
    tied = name == "lm_head" and model.config.tie_word_embeddings
    weight = model.weights["model.embed_tokens.weight" if tied else f"{name}.weight"]
    pair = None if adapter is None else adapter.matrices.get(name)
    if adapter is None or pair is None:
        return weight
    a, b = pair
    return torch.addmm(weight, b, a, alpha=adapter.scale)


def merge(model: Llama, adapter: Adapter | None) -> Llama:
    """A model of its own that computes what `model` does with the adapter; `model` stays as it was."""
    config = model.config
    weights: dict[str, Tensor] = {}
    layers = {"lm_head"}
    # One matrix after another, so that none lies in memory more than once beside the model.
    for layer in range(config.num_hidden_layers):
        for part, names in PARTS:
            prefix = f"model.layers.{layer}.{part}"
            name = joined_name(prefix, names) if len(names) > 1 else f"{prefix}.{names[0]}"
            parts = [f"{prefix}.{one}" for one in names]
            layers.update(parts)
            joined = torch.cat([folded_weight(model, adapter, one) for one in parts])
            weights[f"{name}.weight"] = packed_matrix(joined)
            if f"{parts[0]}.bias" in model.weights:
                weights[f"{name}.bias"] = torch.cat([model.weights[f"{one}.bias"] for one in parts])
    weights["lm_head.weight"] = packed_matrix(folded_weight(model, adapter, "lm_head"))
    rest = {name: weight for name, weight in model.weights.items() if name.rpartition(".")[0] not in layers}
    return Llama(replace(config, tie_word_embeddings=False), {**rest, **weights})


class MergedModels:
    """The copies that are in use; one goes when its adapter does. Not thread-safe: the worker owns it."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._copies: KeptCopies[Llama] = KeptCopies(memory)

    @property
    def num_copies(self) -> int:
        """How many are held in memory now; one whose adapter is gone no longer counts."""
        return self._copies.number

    def get(self, model: Llama, adapter: Adapter | None) -> Llama | None:
        """The copy of this model with this adapter, or None where it must be used as it is."""
        if not may_be_merged(model):
            return None

        def made() -> tuple[Llama, int]:
            merged = merge(model, adapter)
            own = [weight for name, weight in merged.weights.items() if model.weights.get(name) is not weight]
            return merged, sum(weight.numel() * weight.itemsize for weight in own)

        return self._copies.get(model if adapter is None else adapter, made)
