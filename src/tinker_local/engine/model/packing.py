"""Weights laid out as oneDNN multiplies fastest by them.

A step of a few rows waits for its weights. Read in the order in which they lie, they come about twice as fast
as from the rows of a matrix, and the results are the same to the last bit. For the hundred rows of a training
step the gain is a tenth to a quarter. It costs the weights' memory once more, and in training, where the
way back goes through the transposed matrix, twice, so large models go without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import can_pack
from tinker_local.engine.model.llama import Llama

MOST_BYTES = 2**30
"""Models whose weights take up to this are copied."""
MOST_READ = 2**26
"""Bytes of a file that stay in memory while a copy is made."""
LINEAR = ("_proj.weight", "lm_head.weight")


def packed(model: Llama) -> Llama:
    """The same model with packed matrices, or itself where the processor gains nothing or memory is dear."""
    if not can_pack() or model.device.type != "cpu" or model.num_bytes > MOST_BYTES:
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


def copied_for_training(model: Llama, dtype: torch.dtype, forget: Callable[[], None]) -> Llama:
    """A joined copy in a type, with its matrices, and these transposed, packed where that is worth it.

    `forget` is called from time to time to let go what of `model` was read from a file.
    """
    # In float32 the small models that are trained in it stay in the caches, where packing gains nothing.
    suited = can_pack() and model.device.type == "cpu" and dtype == torch.bfloat16
    if not suited or 2 * model.num_parameters * dtype.itemsize > MOST_BYTES:
        return model.joined(dtype)
    weights: dict[str, Tensor] = {}
    transposed: dict[str, Tensor] = {}
    read = 0
    # One after another, so that no more than one of them lies in memory unpacked, too.
    for name, plain in model.joined_weights(dtype):
        read += plain.numel() * model.dtype.itemsize
        if read > MOST_READ:
            forget()
            read = 0
        if name == "model.embed_tokens.weight":
            weights[name] = plain
            if not model.config.tie_word_embeddings:
                continue
            name = "lm_head.weight"
        if name.endswith(LINEAR):
            weights[name], transposed[name] = packed_matrix(plain), packed_matrix(plain.t())
        else:
            weights[name] = plain
    return Llama(replace(model.config, tie_word_embeddings=False), weights, transposed)


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
