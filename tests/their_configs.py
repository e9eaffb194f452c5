"""What transformers makes of a config.json, in our own terms."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

from transformers import (
    LlamaConfig,
    MinistralConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from tinker_local.engine.model.llama import LlamaConfig as OwnConfig
from tinker_local.engine.model.llama import RopeScaling

CLASSES: dict[str, type[PreTrainedConfig]] = {
    "LlamaForCausalLM": LlamaConfig,
    "MistralForCausalLM": MistralConfig,
    "Qwen2ForCausalLM": Qwen2Config,
    "Qwen3ForCausalLM": Qwen3Config,
}


def their_config(settings: Mapping[str, Any], architecture: str) -> PreTrainedConfig:
    """The configuration that transformers builds; raises whatever it raises."""
    # AutoConfig takes a Mistral with kinds of layers for a Ministral.
    ministral = architecture == "MistralForCausalLM" and "layer_types" in settings
    kind = MinistralConfig if ministral else CLASSES[architecture]
    return kind.from_dict(copy.deepcopy(dict(settings)))


def in_our_terms(config: PreTrainedConfig, architecture: str) -> OwnConfig:
    """The same numbers as a LlamaConfig of ours."""
    rope = cast(Any, config).rope_parameters
    return OwnConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        # As the models themselves read it.
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        max_position_embeddings=config.max_position_embeddings,
        rms_norm_eps=config.rms_norm_eps,
        rope_theta=rope["rope_theta"],
        rope_scaling=None
        if rope["rope_type"] == "default"
        else RopeScaling(
            factor=rope["factor"],
            low_freq_factor=rope["low_freq_factor"],
            high_freq_factor=rope["high_freq_factor"],
            original_max_position_embeddings=rope["original_max_position_embeddings"],
        ),
        tie_word_embeddings=config.tie_word_embeddings,
        attention_bias=architecture == "Qwen2ForCausalLM",
        query_key_norm=architecture == "Qwen3ForCausalLM",
    )


def is_plain(config: PreTrainedConfig) -> bool:
    """Whether each layer sees the whole context, with no bias, scaling or function that we have not."""
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    slides = window is not None if kinds is None else "sliding_attention" in kinds
    if slides and (window is None or window < config.max_position_embeddings):
        return False
    return (
        config.rope_parameters["rope_type"] in ("default", "llama3")
        and config.rope_parameters.get("partial_rotary_factor") in (None, 1)
        and config.hidden_act in ("silu", "swish")
        and getattr(config, "is_causal", True) is True
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
    )
