"""Weights laid out as oneDNN multiplies fastest by them, for models that only sample.

A step of a few rows waits for its weights. Read in the order in which they lie, they come about twice as fast
as from the rows of a matrix, and the results are the same to the last bit. It costs the weights' memory once
more, so large models go without.
"""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from tinker_local.engine.llama import Llama
from tinker_local.engine.products import can_pack

MOST_BYTES = 2**30
"""Models whose weights take up to this are copied."""
LINEAR = ("_proj.weight", "lm_head.weight")


def packed(model: Llama) -> Llama:
    """The same model with packed matrices, or itself where the processor gains nothing or memory is dear."""
    num_bytes = sum(weight.nbytes for weight in model.weights.values())
    if not can_pack() or model.device.type != "cpu" or num_bytes > MOST_BYTES:
        return model
    weights = dict(model.weights)
    if model.config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    for name in [name for name in weights if name.endswith(LINEAR)]:
        weights[name] = packed_matrix(weights[name])
    return Llama(replace(model.config, tie_word_embeddings=False), weights)


def packed_matrix(weight: Tensor) -> Tensor:
    """A matrix laid out for oneDNN; the same where the processor gains nothing by it."""
    if not can_pack() or weight.device.type != "cpu":
        return weight
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)


class PackedModels:
    """One packed copy of each model, made when it is first asked for. Not thread-safe: the worker owns it."""

    def __init__(self) -> None:
        self._copies: WeakKeyDictionary[Llama, Llama] = WeakKeyDictionary()

    def get(self, model: Llama) -> Llama:
        """The copy, or the model itself where none is worth its memory."""
        if model not in self._copies:
            copy = packed(model)
            if copy is model:
                return model
            self._copies[model] = copy
        return self._copies[model]
