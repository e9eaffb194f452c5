"""The Llama architecture and its close kin as plain functions over a mapping of named weights.

Mistral computes what Llama does, Qwen2 adds biases to the queries, keys and values, and Qwen3 normalises
each head's queries and keys; two switches of the configuration are all the difference.

The weights keep their Hugging Face names, so a safetensors file is the model. Nothing here knows about
adapters: every linear layer goes through a `Projection`, and a LoRA adapter is one more projection
(see `lora.py`). One copy of the base weights can therefore serve any number of adapters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.pointwise import rms_norm, rotate
from tinker_local.engine.products import linear

Projection = Callable[[str, Tensor, Tensor], Tensor]
"""(layer name, input [..., in], weight [out, in]) -> output [..., out]."""

BIASED_LAYERS = (".q_proj", ".k_proj", ".v_proj")


@dataclass(frozen=True)
class RopeScaling:
    """Llama-3 frequency scaling, as in `rope_scaling` with `rope_type: llama3` of a config.json."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int


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
    rope_scaling: RopeScaling | None
    tie_word_embeddings: bool
    attention_bias: bool = False
    """Whether the projections to queries, keys and values have a bias, as Qwen2's do."""
    query_key_norm: bool = False
    """Whether queries and keys are normalised head by head before they are rotated, as Qwen3's are."""


def plain_projection(_name: str, x: Tensor, weight: Tensor) -> Tensor:
    """The base model's own linear layer, without any adapter."""
    return linear(x, weight)


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
    wavelengths = 2 * math.pi / frequencies
    original = scaling.original_max_position_embeddings
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    smooth = ((original / wavelengths - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - smooth) * frequencies / scaling.factor + smooth * frequencies


class KeyValueCache:
    """Keys and values of the tokens seen so far, in one buffer a layer that grows as positions are reached.

    Each row of the batch writes at its own positions, so prompts of unequal length share one batch:
    what lies beyond a row's position is never attended to and is overwritten when the row gets there.
    """

    def __init__(self, model: Llama, batch: int) -> None:
        config = model.config
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, 0, config.head_dim)
        self.keys = torch.zeros(shape, dtype=model.dtype, device=model.device)
        self.values = torch.zeros(shape, dtype=model.dtype, device=model.device)

    def reach(self, length: int) -> None:
        """Make room for at least this many positions; grown by half each time, so that copying stays rare."""
        missing = length - self.keys.shape[3]
        if missing > 0:
            extra = max(missing, self.keys.shape[3] // 2)
            self.keys = F.pad(self.keys, (0, 0, 0, extra))
            self.values = F.pad(self.values, (0, 0, 0, extra))

    def update(self, layer: int, keys: Tensor, values: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [batch, heads, length, head_dim] at positions [batch, length]; return all."""
        rows = torch.arange(positions.shape[0], device=positions.device)[:, None]
        self.keys[layer][rows, :, positions] = keys.transpose(1, 2)
        self.values[layer][rows, :, positions] = values.transpose(1, 2)
        return self.keys[layer], self.values[layer]

    def repeat(self, copies: Tensor) -> None:
        """Make each row as many rows as `copies` [batch] says, side by side."""
        if int(copies.max()) > 1:
            self.keys = self.keys.repeat_interleave(copies, dim=1)
            self.values = self.values.repeat_interleave(copies, dim=1)

    def keep(self, rows: Tensor) -> None:
        """Leave only these rows, int64 [kept], in this order."""
        if len(rows) < self.keys.shape[1]:
            self.keys, self.values = self.keys[:, rows], self.values[:, rows]


class Llama:
    """A frozen model: configuration, weights by Hugging Face name, and the tables of its positions."""

    def __init__(self, config: LlamaConfig, weights: Mapping[str, Tensor]) -> None:
        self.config = config
        self.weights = weights
        self.device = weights["model.embed_tokens.weight"].device
        self.dtype = weights["model.embed_tokens.weight"].dtype
        self.num_parameters = sum(weight.numel() for weight in weights.values())
        positions = torch.arange(config.max_position_embeddings, dtype=torch.float32)
        angles = torch.outer(positions, rope_frequencies(config)).repeat(1, 2)
        self.cosines = angles.cos().to(self.device)
        self.sines = angles.sin().to(self.device)

    def hidden(
        self,
        tokens: Tensor,
        project: Projection = plain_projection,
        cache: KeyValueCache | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Final normalised states [batch, length, hidden] of int64 tokens [batch, length].

        Without a cache the tokens are whole sequences from position 0. With one, `positions`
        [batch, length] says where each token stands, and earlier tokens are read from the cache.
        """
        length = tokens.shape[1]
        if positions is None:
            cosines, sines = self.cosines[None, None, :length], self.sines[None, None, :length]
        else:
            cosines, sines = self.cosines[positions][:, None], self.sines[positions][:, None]
        mask = None
        if cache is not None:
            assert positions is not None, "a cache needs positions"
            cache.reach(int(positions.max()) + 1)
            slots = torch.arange(cache.keys.shape[3], device=tokens.device)
            mask = (slots <= positions[:, :, None])[:, None]
        x = F.embedding(tokens, self.weights["model.embed_tokens.weight"])
        rotation = (cosines.to(x.dtype), sines.to(x.dtype))
        for layer in range(self.config.num_hidden_layers):
            prefix = f"model.layers.{layer}"
            normed = self._norm(x, f"{prefix}.input_layernorm")
            x = x + self._attention(layer, normed, project, rotation, cache, positions, mask)
            normed = self._norm(x, f"{prefix}.post_attention_layernorm")
            x = x + self._feed_forward(prefix, normed, project)
        return self._norm(x, "model.norm")

    def logits(self, hidden: Tensor, project: Projection = plain_projection) -> Tensor:
        """Scores over the vocabulary, float32 [..., vocab_size], of final states [..., hidden]."""
        name = "model.embed_tokens" if self.config.tie_word_embeddings else "lm_head"
        return project("lm_head", hidden, self.weights[f"{name}.weight"]).float()

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return rms_norm(x, self.config.rms_norm_eps) * self.weights[f"{name}.weight"]

    def _linear(self, name: str, x: Tensor, project: Projection) -> Tensor:
        # A bias is added outside the projection, so that adapters need not know of it.
        projected = project(name, x, self.weights[f"{name}.weight"])
        biased = self.config.attention_bias and name.endswith(BIASED_LAYERS)
        return projected + self.weights[f"{name}.bias"] if biased else projected

    def _attention(
        self,
        layer: int,
        x: Tensor,
        project: Projection,
        rotation: tuple[Tensor, Tensor],
        cache: KeyValueCache | None,
        positions: Tensor | None,
        mask: Tensor | None,
    ) -> Tensor:
        prefix = f"model.layers.{layer}.self_attn"
        batch, length, _ = x.shape
        split = (batch, length, -1, self.config.head_dim)
        queries = self._linear(f"{prefix}.q_proj", x, project).view(split)
        keys = self._linear(f"{prefix}.k_proj", x, project).view(split)
        values = self._linear(f"{prefix}.v_proj", x, project).view(split)
        if self.config.query_key_norm:
            queries = self._norm(queries, f"{prefix}.q_norm")
            keys = self._norm(keys, f"{prefix}.k_norm")
        queries, keys, values = (t.transpose(1, 2) for t in (queries, keys, values))
        queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        if cache is not None and positions is not None:
            keys, values = cache.update(layer, keys, values, positions)
        groups = self.config.num_attention_heads // self.config.num_key_value_heads
        if groups > 1:
            keys, values = (t.repeat_interleave(groups, dim=1) for t in (keys, values))
        attended = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=mask is None and length > 1
        )
        merged = attended.transpose(1, 2).reshape(batch, length, -1)
        return self._linear(f"{prefix}.o_proj", merged, project)

    def _feed_forward(self, prefix: str, x: Tensor, project: Projection) -> Tensor:
        gate = self._linear(f"{prefix}.mlp.gate_proj", x, project)
        up = self._linear(f"{prefix}.mlp.up_proj", x, project)
        return self._linear(f"{prefix}.mlp.down_proj", F.silu(gate) * up, project)


