"""What a folder's config.json means for the computation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tinker_local.engine.llama import LlamaConfig, RopeDivisors, RopeScaling
from tinker_local.errors import StartupError

ARCHITECTURES: Mapping[str, Mapping[str, bool]] = {
    "LlamaForCausalLM": {},
    "MistralForCausalLM": {},
    "Qwen2ForCausalLM": {"attention_bias": True},
    "Qwen3ForCausalLM": {"query_key_norm": True},
}
"""What is supported, each with what it adds to Llama as fields of LlamaConfig."""


def find_architecture(settings: Mapping[str, Any], folder: Path) -> str:
    """The architecture that a config.json names; raises StartupError for one that is not supported."""
    architectures = settings.get("architectures") or ["model without architecture"]
    supported = [name for name in architectures if name in ARCHITECTURES]
    if not supported:
        raise StartupError(
            f"{folder} holds a {architectures[0]}, which is not supported; supported: "
            f"{', '.join(ARCHITECTURES)}."
        )
    return supported[0]


def read_config(settings: Mapping[str, Any], folder: Path) -> LlamaConfig:
    """The LlamaConfig of a config.json, in the older layout and in that of transformers 5.

    Raises StartupError for a model that would not be computed exactly.
    """
    architecture = find_architecture(settings, folder)
    for unsupported in ("attention_bias", "mlp_bias"):
        if settings.get(unsupported):
            raise StartupError(f"{folder} sets {unsupported}, which is not supported; choose another model.")
    if settings.get("hidden_act", "silu") != "silu":
        raise StartupError(
            f"{folder} uses {settings['hidden_act']}, and only silu is supported; choose another."
        )
    # Where both are given, transformers lets the older one win.
    rope: Mapping[str, Any] = settings.get("rope_scaling") or settings.get("rope_parameters") or {}
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    # The divisors are of this project's own making, see `gguf_config`.
    if rope_type not in ("default", "llama3", "divisors"):
        raise StartupError(f"{folder} scales its positions by {rope_type!r}; supported: default, llama3.")
    try:
        scaling = _rope_scaling(rope_type, rope)
        heads = int(settings["num_attention_heads"])
        config = LlamaConfig(
            vocab_size=int(settings["vocab_size"]),
            hidden_size=int(settings["hidden_size"]),
            intermediate_size=int(settings["intermediate_size"]),
            num_hidden_layers=int(settings["num_hidden_layers"]),
            num_attention_heads=heads,
            num_key_value_heads=int(settings.get("num_key_value_heads") or heads),
            head_dim=int(settings.get("head_dim") or settings["hidden_size"] // heads),
            max_position_embeddings=int(settings["max_position_embeddings"]),
            rms_norm_eps=float(settings["rms_norm_eps"]),
            rope_theta=float(rope.get("rope_theta") or settings.get("rope_theta") or 10000.0),
            rope_scaling=scaling,
            tie_word_embeddings=bool(settings.get("tie_word_embeddings", False)),
            **ARCHITECTURES[architecture],
        )
    except KeyError as error:
        raise StartupError(f"{folder}/config.json has no {error.args[0]}; it may be incomplete.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise StartupError(f"{folder}/config.json has a wrong value ({error}); it may be damaged.") from error
    window = _attention_window(settings, architecture)
    if window is not None and window < config.max_position_embeddings:
        raise StartupError(
            f"{folder} attends over a sliding window of {window} tokens, less than its context of "
            f"{config.max_position_embeddings}, which is not supported; lower max_position_embeddings in "
            "its config.json to the window, or choose another model."
        )
    return config


def _rope_scaling(rope_type: str, rope: Mapping[str, Any]) -> RopeScaling | RopeDivisors | None:
    if rope_type == "divisors":
        return RopeDivisors(tuple(float(divisor) for divisor in rope["divisors"]))
    if rope_type == "llama3":
        return RopeScaling(
            factor=float(rope["factor"]),
            low_freq_factor=float(rope["low_freq_factor"]),
            high_freq_factor=float(rope["high_freq_factor"]),
            original_max_position_embeddings=int(rope["original_max_position_embeddings"]),
        )
    return None


def _attention_window(settings: Mapping[str, Any], architecture: str) -> int | None:
    """How many tokens back some layer sees, None for all; the defaults are those of transformers."""
    if architecture == "MistralForCausalLM":
        return settings.get("sliding_window", 4096)
    # Qwen's files name a window also where it is switched off, as it is in all released base models.
    if architecture in ("Qwen2ForCausalLM", "Qwen3ForCausalLM") and settings.get("use_sliding_window"):
        layers = settings.get("layer_types")
        if layers is None:
            slides = settings.get("max_window_layers", 28) < settings["num_hidden_layers"]
        else:
            slides = "sliding_attention" in layers
        return settings.get("sliding_window", 4096) if slides else None
    return None


def end_tokens(folder: Path, settings: Mapping[str, Any]) -> frozenset[int]:
    """The ids at which a generation ends, of generation_config.json, else of config.json."""
    generation = folder / "generation_config.json"
    found = read_json(generation).get("eos_token_id") if generation.exists() else None
    if found is None:
        found = settings.get("eos_token_id")
    if found is None:
        return frozenset()
    return frozenset([found] if isinstance(found, int) else found)


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; raises StartupError where there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StartupError(
            f"There is no {file}; point --base-model at a folder that holds a model."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{file} is not valid JSON ({error}); it may be damaged.") from error
    if not isinstance(content, dict):
        raise StartupError(f"{file} does not hold a JSON object; it may be damaged.")
    return cast(dict[str, Any], content)
