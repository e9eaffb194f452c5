"""The tensors of a GGUF file as those that the engine wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from tinker_local.engine.model.llama import LlamaConfig, weight_shapes
from tinker_local.errors import StartupError
from tinker_local.loading.gguf.config import ROPE_DIVISORS, find_architecture
from tinker_local.loading.gguf.file import GgufFile
from tinker_local.loading.gguf.header import GgufTensor

NAMES: Mapping[str, str] = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""GGUF's names by Hugging Face's, without what says the block."""

REORDERED = (".q_proj.weight", ".k_proj.weight")
NUMBERS_AT_ONCE = 2**22
"""How many numbers of a tensor are dequantised together; the library makes several copies of them."""


def gguf_name(name: str) -> str:
    """GGUF's name of a tensor, `blk.3.attn_q.weight` for `model.layers.3.self_attn.q_proj.weight`."""
    layer, kind = name.rsplit(".", 1)
    if not layer.startswith("model.layers."):
        return f"{NAMES[layer]}.{kind}"
    _, _, block, layer = layer.split(".", 3)
    return f"blk.{block}.{NAMES[layer]}.{kind}"


@dataclass(frozen=True)
class GgufWeight:
    """A weight as the file has it."""

    tensor: GgufTensor
    head_dim: int | None
    """The width of the heads whose rows stand in another order than transformers', None where none do."""


def used_weights(file: GgufFile, config: LlamaConfig) -> dict[str, GgufWeight]:
    """The weights by Hugging Face's names, all that `weight_shapes` wants and in its order.

    Raises StartupError for a tensor that is missing, of another shape, of a type that cannot be dequantised,
    or that this architecture does not have.
    """
    source, llama = file.paths[0], find_architecture(file) == "llama"
    used: dict[str, GgufWeight] = {}
    for name, shape in weight_shapes(config).items():
        stored = gguf_name(name)
        tensor = file.tensors.get(stored)
        if tensor is None:
            raise StartupError(f"{source} has no tensor {stored}; give the file of a whole model.")
        if tensor.shape != shape:
            raise StartupError(
                f"{stored} in {source} has shape {tensor.shape} where {shape} is meant; it may be damaged, "
                "so get it again."
            )
        if not _can_dequantise(tensor.kind):
            raise StartupError(
                f"{source} stores {stored} as {tensor.kind.name}, which cannot be dequantised here; choose "
                "another quantisation."
            )
        used[name] = GgufWeight(tensor, config.head_dim if llama and name.endswith(REORDERED) else None)
    known = {weight.tensor.name for weight in used.values()}
    for name in file.tensors:
        # The divisors have become settings, see `read_settings`.
        if name not in known and not (llama and name == ROPE_DIVISORS):
            raise StartupError(
                f"{source} has a tensor {name!r}, which is not supported in this architecture; choose "
                "another model."
            )
    return used


def _can_dequantise(kind: GGMLQuantizationType) -> bool:
    _, size = gguf.GGML_QUANT_SIZES[kind]
    with suppress(NotImplementedError):
        gguf.dequantize(np.zeros((1, size), np.uint8), kind)
        return True
    return False


def dequantised(weight: GgufWeight) -> Iterator[NDArray[np.float32]]:
    """The numbers of a weight, float32 [rows, columns], a few rows at a time and in transformers' order.

    llama.cpp rotates neighbouring rows of Llama's queries and keys where transformers rotates one half of a
    head against the other; its converter reorders them accordingly, which is undone here.
    """
    tensor, head_dim = weight.tensor, weight.head_dim
    rows_at_once = max(1, NUMBERS_AT_ONCE // tensor.shape[-1])
    if head_dim is not None:
        rows_at_once = max(1, rows_at_once // head_dim) * head_dim
    for start in range(0, len(tensor.data), rows_at_once):
        # What is not finite afterwards is for the caller to find.
        with np.errstate(all="ignore"):
            numbers = gguf.dequantize(tensor.data[start : start + rows_at_once], tensor.kind)
        if head_dim is not None:
            numbers = numbers.reshape(-1, head_dim // 2, 2, numbers.shape[-1]).swapaxes(1, 2)
        yield numbers.reshape(-1, tensor.shape[-1])
