"""Copies of small models made for sampling: the adapter folded in, and layers of one input joined.

A token of a small model takes less time to compute than to walk through its many operations, and an adapter
doubles their number. Large models gain less from this and would cost their size in memory once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from tinker_local.engine.model.llama import ATTENTION, FEED_FORWARD, Llama, joined_name
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.model.packing import packed_matrix

SMALL_MODEL = 200_000_000
"""Models of up to this many parameters are copied."""
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
    return model.num_parameters <= SMALL_MODEL and model.dtype == torch.float32


def merge(model: Llama, adapter: Adapter | None) -> Llama:
    """A model of its own that computes what `model` does with the adapter; `model` stays as it was."""
    config = model.config
    remaining, weights = dict(model.weights), dict[str, Tensor]()
    if config.tie_word_embeddings:
        remaining["lm_head.weight"] = remaining["model.embed_tokens.weight"]
    matrices = {} if adapter is None else adapter.matrices

    def taken(name: str, kind: str) -> Tensor:
        weight = remaining.pop(f"{name}.{kind}")
        if kind == "bias" or adapter is None or name not in matrices:
            return weight
        a, b = matrices[name]
        return torch.addmm(weight, b, a, alpha=adapter.scale)

    # One matrix after another, so that none lies in memory more than once beside the model.
    for layer in range(config.num_hidden_layers):
        for part, names in PARTS:
            prefix = f"model.layers.{layer}.{part}"
            for kind in ("weight", "bias"):
                if f"{prefix}.{names[0]}.{kind}" in remaining:
                    joined = torch.cat([taken(f"{prefix}.{name}", kind) for name in names])
                    name = joined_name(prefix, names) if len(names) > 1 else f"{prefix}.{names[0]}"
                    weights[f"{name}.{kind}"] = packed_matrix(joined) if kind == "weight" else joined
    weights["lm_head.weight"] = packed_matrix(taken("lm_head", "weight"))
    return Llama(replace(config, tie_word_embeddings=False), {**remaining, **weights})


@dataclass
class _Copy:
    model: Llama
    size: int
    last_use: int


class MergedModels:
    """The copies that are in use; one goes when its adapter does. Not thread-safe: the worker owns it."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._copies: WeakKeyDictionary[Llama | Adapter, _Copy] = WeakKeyDictionary()
        self._uses = count()

    @property
    def num_copies(self) -> int:
        """How many are held in memory now; one whose adapter is gone no longer counts."""
        return len(self._copies)

    def get(self, model: Llama, adapter: Adapter | None) -> Llama | None:
        """The copy of this model with this adapter, or None where it must be used as it is."""
        if not may_be_merged(model):
            return None
        key = model if adapter is None else adapter
        if key not in self._copies:
            merged = merge(model, adapter)
            own = [weight for name, weight in merged.weights.items() if model.weights.get(name) is not weight]
            self._copies[key] = _Copy(merged, sum(weight.numel() * weight.itemsize for weight in own), 0)
        copy = self._copies[key]
        copy.last_use = next(self._uses)
        self._drop_oldest()
        return copy.model

    def _drop_oldest(self) -> None:
        by_age = sorted(self._copies.items(), key=lambda item: item[1].last_use)
        excess = sum(copy.size for _, copy in by_age) - self._memory
        for key, copy in by_age[:-1]:
            if excess <= 0:
                return
            del self._copies[key]
            excess -= copy.size
