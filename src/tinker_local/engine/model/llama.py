"""The Llama architecture and its close kin as plain functions over a mapping of named weights.

Mistral computes what Llama does, Qwen2 adds biases to the queries, keys and values, and Qwen3 normalises
each head's queries and keys; two switches of the configuration are all the difference.

The weights keep their Hugging Face names, so a safetensors file is the model. Nothing here knows about
adapters: every linear layer goes through a `Projection`, and a LoRA adapter is one more projection
(see `lora.py`). One copy of the base weights can therefore serve any number of adapters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.native.half_matmul import HalfMatrix
from tinker_local.engine.kernels.pointwise import rms_norm, rotate
from tinker_local.engine.kernels.weight import Weight, times

Projection = Callable[[str, Tensor, Weight], Tensor]
"""(layer name, or that of joined layers, input [..., in], weight [out, in]) -> output [..., out]."""

Attention = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, queries [n, heads, head_dim], keys and values [n, kv_heads, head_dim]) -> [n, heads * head_dim]."""

BIASED_LAYERS = (".q_proj", ".k_proj", ".v_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj")
FEED_FORWARD = ("gate_proj", "up_proj")
"""Layers that read the same input, whose weights may be joined under `joined_name`."""


@dataclass(frozen=True)
class RopeScaling:
    """Llama-3 frequency scaling, as in `rope_scaling` with `rope_type: llama3` of a config.json."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int


@dataclass(frozen=True)
class RopeDivisors:
    """Frequencies slowed one by one, as in the rope_freqs.weight of a GGUF file: head_dim / 2 numbers."""

    divisors: tuple[float, ...]


@dataclass(frozen=True)
class LlamaConfig:
    """The numbers of a config.json that shape the computation."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | RopeDivisors | None
    tie_word_embeddings: bool
    attention_bias: bool = False
    """Whether the projections to queries, keys and values have a bias, as Qwen2's do."""
    query_key_norm: bool = False
    """Whether queries and keys are normalised head by head before they are rotated, as Qwen3's are."""


def plain_projection(_name: str, x: Tensor, weight: Weight) -> Tensor:
    """The base model's own linear layer, without any adapter."""
    return times(x, weight)


def joined_name(prefix: str, names: Sequence[str]) -> str:
    """The name under which the weights of several layers may stand below each other in one matrix."""
    return f"{prefix}.{'+'.join(names)}"


def layers_of(name: str) -> list[str]:
    """The names of the layers that are joined under this one, or it alone."""
    prefix, dot, names = name.rpartition(".")
    return [f"{prefix}{dot}{one}" for one in names.split("+")]


def linear_layer_shapes(config: LlamaConfig) -> dict[str, tuple[int, int]]:
    """Every linear layer by name with its (out_features, in_features), the unembedding last."""
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    hidden, inner = config.hidden_size, config.intermediate_size
    in_one_block = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    shapes = {
        f"model.layers.{layer}.{name}": shape
        for layer in range(config.num_hidden_layers)
        for name, shape in in_one_block.items()
    }
    shapes["lm_head"] = (config.vocab_size, hidden)
    return shapes


def weight_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that a checkpoint of this configuration must hold, with its shape."""
    hidden = config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config.vocab_size, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(config.num_hidden_layers):
        shapes[f"model.layers.{layer}.input_layernorm.weight"] = (hidden,)
        shapes[f"model.layers.{layer}.post_attention_layernorm.weight"] = (hidden,)
        if config.query_key_norm:
            shapes[f"model.layers.{layer}.self_attn.q_norm.weight"] = (config.head_dim,)
            shapes[f"model.layers.{layer}.self_attn.k_norm.weight"] = (config.head_dim,)
    for name, shape in linear_layer_shapes(config).items():
        if name != "lm_head" or not config.tie_word_embeddings:
            shapes[f"{name}.weight"] = shape
        if config.attention_bias and name.endswith(BIASED_LAYERS):
            shapes[f"{name}.bias"] = shape[:1]
    return shapes


def rope_frequencies(config: LlamaConfig) -> Tensor:
    """Angle per position for each pair of dimensions, float32 [head_dim / 2].

    The scaling is that of the Llama 3.1 release: long wavelengths are slowed by `factor`, short ones are
    kept, and those between are interpolated.
    """
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / (config.rope_theta**exponents)
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies
    if isinstance(scaling, RopeDivisors):
        return frequencies / torch.tensor(scaling.divisors)
    wavelengths = 2 * math.pi / frequencies
    original = scaling.original_max_position_embeddings
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    smooth = ((original / wavelengths - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - smooth) * frequencies / scaling.factor + smooth * frequencies


class Llama:
    """A frozen model: configuration, weights by Hugging Face name, and the tables of its positions."""

    def __init__(
        self,
        config: LlamaConfig,
        weights: Mapping[str, Tensor],
        laid_out: Mapping[str, HalfMatrix] | None = None,
    ) -> None:
        """`laid_out` holds matrices as the kernels of training take them, in place of weights so named."""
        self.config = config
        self.weights = weights
        self.laid_out = laid_out or {}
        self.device = weights["model.embed_tokens.weight"].device
        self.dtype = weights["model.embed_tokens.weight"].dtype
        held = [*weights.values(), *self.laid_out.values()]
        self.num_bytes = sum(weight.nbytes for weight in held)
        self.num_parameters = sum(weight.numel() for weight in held)
        self._shapes = linear_layer_shapes(config)
        positions = torch.arange(config.max_position_embeddings, dtype=torch.float32)
        angles = torch.outer(positions, rope_frequencies(config)).repeat(1, 2)
        self.cosines = angles.cos().to(self.device)
        self.sines = angles.sin().to(self.device)

    def joined_weights(self, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """The weights in a type with their names, layers of one input as one matrix.

        They are made one after another as they are asked for.
        """
        names = dict.fromkeys(self.weights)
        for layer in range(self.config.num_hidden_layers):
            for group, parts in (("self_attn", ATTENTION), ("mlp", FEED_FORWARD)):
                prefix = f"model.layers.{layer}.{group}"
                for kind in ("weight", "bias"):
                    mine = [f"{prefix}.{name}.{kind}" for name in parts]
                    if mine[0] in names:
                        # Converted one by one, so that no more than one layer is held twice.
                        joined = torch.cat([self.weights[name].to(dtype) for name in mine])
                        yield f"{joined_name(prefix, parts)}.{kind}", joined
                        for name in mine:
                            del names[name]
        for name in names:
            yield name, self.weights[name].to(dtype)

    def hidden(self, tokens: Tensor, project: Projection = plain_projection) -> Tensor:
        """Final normalised states [batch, length, hidden] of whole sequences, int64 tokens [batch, length].

        With gradients to weights and adapters where they are asked for, as pretraining does.
        """
        batch, length = tokens.shape
        shared = self.config.num_attention_heads // self.config.num_key_value_heads

        def attend(_layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            split = (batch, length, -1, self.config.head_dim)
            q, k, v = (part.reshape(split).transpose(1, 2) for part in (queries, keys, values))
            if shared > 1:
                k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return attended.transpose(1, 2).reshape(batch * length, -1)

        positions = torch.arange(length, device=tokens.device).repeat(batch)
        return self.flat_hidden(tokens.flatten(), positions, attend, project).view(batch, length, -1)

    def flat_hidden(
        self, tokens: Tensor, positions: Tensor, attend: Attention, project: Projection = plain_projection
    ) -> Tensor:
        """Final normalised states [n, hidden] of int64 tokens [n], which may belong to different sequences.

        `attend` knows to which.
        """
        x = F.embedding(tokens, self.weights["model.embed_tokens.weight"])
        rotation = (
            self.cosines[positions][:, None].to(x.dtype),
            self.sines[positions][:, None].to(x.dtype),
        )
        for layer in range(self.config.num_hidden_layers):
            prefix = f"model.layers.{layer}"
            normed = self._norm(x, f"{prefix}.input_layernorm")
            queries, keys, values = self._heads(f"{prefix}.self_attn", normed, project)
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
            attended = attend(layer, queries, keys, values)
            x = x + self._linear(f"{prefix}.self_attn.o_proj", attended, project)
            normed = self._norm(x, f"{prefix}.post_attention_layernorm")
            x = x + self._feed_forward(prefix, normed, project)
        return self._norm(x, "model.norm")

    def logits(self, hidden: Tensor, project: Projection = plain_projection) -> Tensor:
        """Scores over the vocabulary, float32 [..., vocab_size], of final states [..., hidden]."""
        name = "model.embed_tokens" if self.config.tie_word_embeddings else "lm_head"
        return project("lm_head", hidden, self._matrix(name)).float()

    def _matrix(self, name: str) -> Weight:
        matrix = self.laid_out.get(f"{name}.weight")
        return self.weights[f"{name}.weight"] if matrix is None else matrix

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return rms_norm(x, self.config.rms_norm_eps) * self.weights[f"{name}.weight"]

    def _linear(self, name: str, x: Tensor, project: Projection) -> Tensor:
        # A bias is added outside the projection, so that adapters need not know of it.
        projected = project(name, x, self._matrix(name))
        bias = self.weights.get(f"{name}.bias")
        return projected if bias is None else projected + bias

    def _several(self, prefix: str, names: Sequence[str], x: Tensor, project: Projection) -> Sequence[Tensor]:
        """The outputs of several layers of one input, in one product where their weights are joined."""
        joined = joined_name(prefix, names)
        if f"{joined}.weight" not in self.weights and f"{joined}.weight" not in self.laid_out:
            return [self._linear(f"{prefix}.{name}", x, project) for name in names]
        sizes = [self._shapes[f"{prefix}.{name}"][0] for name in names]
        return cast(Sequence[Tensor], self._linear(joined, x, project).split(sizes, dim=-1))

    def _heads(self, prefix: str, x: Tensor, project: Projection) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [..., heads, head_dim] of inputs [..., hidden], not rotated yet."""
        split = (*x.shape[:-1], -1, self.config.head_dim)
        queries, keys, values = (part.view(split) for part in self._several(prefix, ATTENTION, x, project))
        if self.config.query_key_norm:
            queries = self._norm(queries, f"{prefix}.q_norm")
            keys = self._norm(keys, f"{prefix}.k_norm")
        return queries, keys, values

    def _feed_forward(self, prefix: str, x: Tensor, project: Projection) -> Tensor:
        gate, up = self._several(f"{prefix}.mlp", FEED_FORWARD, x, project)
        return self._linear(f"{prefix}.mlp.down_proj", F.silu(gate) * up, project)
