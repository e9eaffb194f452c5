"""Small GGUF files as llama.cpp's converter makes them, from the reference models of `tiny_models`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
from transformers import PreTrainedModel
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tiny_models import BEGIN, END, write_tiny_model

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
SIZES: dict[str, Any] = {"vocab_size": 288, "hidden_size": 64, "intermediate_size": 96}
"""Sizes whose rows are whole blocks of 32, as most quantisations need."""
NORMAL, CONTROL, UNUSED = 1, 3, 5


def tiny_model(folder: Path, architecture: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A random reference model of sizes that can be quantised."""
    return write_tiny_model(folder, architecture, seed, **{**SIZES, **changes})


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys in the order that llama.cpp rotates, as its converter writes them."""
    rows = weight.shape[0]
    split = weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:])
    return split.swapaxes(1, 2).reshape(weight.shape)


def gguf_names(model: PreTrainedModel) -> dict[str, str]:
    """GGUF's name of each weight, by the reference model's."""
    names: dict[str, str] = {}
    for name in model.state_dict():
        layer, kind = name.rsplit(".", 1)
        if layer.startswith("model.layers."):
            _, _, block, layer = layer.split(".", 3)
            names[name] = f"blk.{block}.{NAMES[layer]}.{kind}"
        elif layer != "lm_head" or not model.config.tie_word_embeddings:
            names[name] = f"{NAMES[layer]}.{kind}"
    return names


def file_order(model: PreTrainedModel, name: str) -> np.ndarray:
    """Which row of a reference model's weight stands at each place of the file."""
    count: int = model.state_dict()[name].shape[0]
    rows = np.arange(count)
    if model.config.model_type == "llama" and name.endswith("q_proj.weight"):
        return permuted(rows, model.config.num_attention_heads)
    if model.config.model_type == "llama" and name.endswith("k_proj.weight"):
        return permuted(rows, model.config.num_key_value_heads)
    return rows


def gguf_tensors(model: PreTrainedModel) -> dict[str, np.ndarray]:
    """The weights of a reference model as a file has them, float32."""
    weights = model.state_dict()
    return {
        stored: np.ascontiguousarray(weights[name].float().numpy()[file_order(model, name)])
        for name, stored in gguf_names(model).items()
    }


def set_weights(model: PreTrainedModel, tensors: Mapping[str, np.ndarray]) -> None:
    """Give a reference model the weights that a file has."""
    with torch.no_grad():
        for name, stored in gguf_names(model).items():
            model.state_dict()[name][torch.from_numpy(file_order(model, name))] = torch.tensor(
                tensors[stored]
            )


def gguf_fields(model: PreTrainedModel) -> dict[str, Any]:
    """The keys that the converter writes for a reference model, with a byte-level tokenizer."""
    config = model.config
    name = ARCHITECTURES[type(model).__name__]
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    fields: dict[str, Any] = {
        "general.type": "model",
        "general.name": "tiny",
        "general.file_type": 0,
        f"{name}.block_count": config.num_hidden_layers,
        f"{name}.context_length": config.max_position_embeddings,
        f"{name}.embedding_length": config.hidden_size,
        f"{name}.feed_forward_length": config.intermediate_size,
        f"{name}.attention.head_count": config.num_attention_heads,
        f"{name}.attention.head_count_kv": config.num_key_value_heads,
        f"{name}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{name}.rope.freq_base": float(cast(Any, config).rope_parameters["rope_theta"]),
    }
    if name == "llama":
        fields |= {"llama.vocab_size": config.vocab_size, "llama.rope.dimension_count": head_dim}
    if head_dim != config.hidden_size // config.num_attention_heads:
        fields |= {f"{name}.attention.key_length": head_dim, f"{name}.attention.value_length": head_dim}
    tokens = [BEGIN, END, *sorted(bytes_to_unicode().values()), "he"]
    unused = [f"[PAD{index}]" for index in range(len(tokens), config.vocab_size)]
    return {
        **fields,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe" if name == "llama" else "qwen2",
        "tokenizer.ggml.tokens": [*tokens, *unused],
        "tokenizer.ggml.token_type": [CONTROL] * 2 + [NORMAL] * (len(tokens) - 2) + [UNUSED] * len(unused),
        "tokenizer.ggml.merges": ["h e"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
    }


def quantised(
    tensors: Mapping[str, np.ndarray], kind: GGMLQuantizationType
) -> dict[str, tuple[np.ndarray, GGMLQuantizationType]]:
    """Each tensor's stored form and type; what is a vector stays float32, as it does in the converter."""
    plain = GGMLQuantizationType.F32
    return {
        name: (gguf.quantize(numbers, kind), kind) if numbers.ndim > 1 else (numbers, plain)
        for name, numbers in tensors.items()
    }


def dequantised(stored: Mapping[str, tuple[np.ndarray, GGMLQuantizationType]]) -> dict[str, np.ndarray]:
    """The numbers that stored tensors stand for, float32, as the library has them."""
    return {name: gguf.dequantize(data, kind) for name, (data, kind) in stored.items()}


def write_gguf(
    file: Path,
    architecture: str,
    fields: Mapping[str, Any],
    stored: Mapping[str, tuple[np.ndarray, GGMLQuantizationType]],
    split_max_tensors: int = 0,
) -> None:
    """Write keys and tensors; integers that are not negative as uint32, which llama.cpp wants of them."""
    writer = GGUFWriter(file, architecture, split_max_tensors=split_max_tensors)
    for key, value in fields.items():
        if type(value) is int and value >= 0:
            writer.add_key_value(key, value, GGUFValueType.UINT32)
        else:
            writer.add_key_value(key, value, GGUFValueType.get_type(value))
    for name, (data, kind) in stored.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_tiny_gguf(
    file: Path,
    model: PreTrainedModel,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    fields: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray | None] | None = None,
    split_max_tensors: int = 0,
) -> dict[str, np.ndarray]:
    """Write a reference model as one file, or as parts of so many tensors; returns the weights it stands for.

    `fields` and `tensors` are added or take the place of the model's own; None leaves one out.
    """
    keys = {
        key: value for key, value in {**gguf_fields(model), **(fields or {})}.items() if value is not None
    }
    architecture = keys.pop("general.architecture", ARCHITECTURES[type(model).__name__])
    numbers = {**gguf_tensors(model), **(tensors or {})}
    stored = quantised({name: each for name, each in numbers.items() if each is not None}, kind)
    write_gguf(file, architecture, keys, stored, split_max_tensors)
    return dequantised(stored)
