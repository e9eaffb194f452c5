"""Copies of a model whose weights are laid out as products with them are fastest.

A step of a few rows waits for its weights. Read in the order in which they lie, they come about twice as
fast as from the rows of a matrix, and from oneDNN the results are the same to the last bit. That costs the
weights' memory once more, so large models are sampled from without. What computes in bfloat16 by
`half_matmul.c`, in training or sampling, has a copy of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import can_pack
from tinker_local.engine.kernels.native.half_matmul import HalfMatrix, can_lay_out
from tinker_local.engine.model.llama import Llama

MOST_BYTES = 2**30
"""Models whose weights take up to this are copied."""
MOST_READ = 2**26
"""Bytes of a file that stay in memory while a copy is made."""
LINEAR = ("_proj.weight", "lm_head.weight")
EMBEDDING = "model.embed_tokens.weight"


def may_be_packed(model: Llama) -> bool:
    """Whether the processor gains by packed matrices, and memory for them is not dear."""
    return can_pack() and model.device.type == "cpu" and model.num_bytes <= MOST_BYTES and not model.laid_out


def packed(model: Llama) -> Llama:
    """The same model with packed matrices."""
    weights = dict(model.weights)
    if model.config.tie_word_embeddings:
        weights["lm_head.weight"] = weights[EMBEDDING]
    for name in [name for name in weights if name.endswith(LINEAR)]:
        weights[name] = packed_matrix(weights[name])
    return Llama(replace(model.config, tie_word_embeddings=False), weights)


def packed_matrix(weight: Tensor) -> Tensor:
    """A matrix laid out for oneDNN; the same where the processor gains nothing by it."""
    if not can_pack() or weight.device.type != "cpu":
        return weight
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)


def laid_out_copy(model: Llama, dtype: torch.dtype, forget: Callable[[], None]) -> Llama:
    """A joined copy in a type, with its matrices laid out for the kernels where they take them.

    `forget` is called from time to time to let go what of `model` was read from a file.
    """
    weights: dict[str, Tensor] = {}
    laid_out: dict[str, HalfMatrix] = {}
    read = 0
    # One after another, so that no more than one of them lies in memory twice.
    for name, plain in model.joined_weights(dtype):
        read += plain.numel() * model.dtype.itemsize
        if read > MOST_READ:
            forget()
            read = 0
        if name == EMBEDDING and model.config.tie_word_embeddings:
            name = "lm_head.weight"
        if name.endswith(LINEAR) and can_lay_out(plain):
            laid_out[name] = HalfMatrix(plain)
        elif name != EMBEDDING:
            weights[name] = plain
    forget()
    # Of the embeddings themselves a step needs a few rows, so they may stay where they are.
    tied = weights.get("lm_head.weight") if model.config.tie_word_embeddings else None
    weights[EMBEDDING] = model.weights[EMBEDDING].to(dtype) if tied is None else tied
    return Llama(replace(model.config, tie_word_embeddings=False), weights, laid_out)
