"""Every setting of a config.json is honoured, known to be harmless, or refused by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from tinker_local.errors import StartupError
from tinker_local.loading.config.architectures import Architecture
from tinker_local.loading.config.rope_settings import ROPE_KEYS
from tinker_local.loading.json_file import shown

HARMLESS: Mapping[str, str] = {
    name: reason
    for reason, names in tomllib.loads(
        files("tinker_local.loading.config").joinpath("harmless_settings.toml").read_text("utf-8")
    ).items()
    for name in names.split()
}
"""Settings that change nothing in what is computed here, whatever their value, each with the reason."""

_ONE = (1, 1.0, None)
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "pretraining_tp": _ONE,
    "partial_rotary_factor": _ONE,
    "rotary_pct": _ONE,
    "embedding_multiplier": _ONE,
    "residual_multiplier": _ONE,
    "logits_scaling": _ONE,
    "logit_scale": _ONE,
    # transformers reads any other value, even null, as an order to look ahead.
    "is_causal": (True,),
    "use_rope": (True, None),
    "scale_attn_weights": (True, None),
    # Any number but null makes the cache of transformers forget.
    "sliding_window": (None,),
    "attention_chunk_size": (None,),
}
"""Settings that only some architectures have, each with the values at which it changes nothing elsewhere.

Settings that are not here are taken to be switched off by null, false, 0 and what is empty.
"""

_QUANTIZED = ("quantization_config", "quantization", "compression_config")


def refuse_unknown_settings(settings: Mapping[str, Any], architecture: Architecture, folder: Path) -> None:
    """Raise StartupError with the first setting that would change the numbers and is not computed here."""
    for name in _QUANTIZED:
        if settings.get(name) is not None:
            raise StartupError(
                f"{folder} holds quantised weights ({name} in config.json: {_method(settings[name])}), which "
                "are not supported; choose the model that they were made from."
            )
    if settings.get("auto_map"):
        raise StartupError(
            f"{folder} brings code of its own (auto_map in config.json), which is not run; choose another "
            "model."
        )
    if architecture.model_type == "qwen2" and settings.get("attention_bias") is False:
        raise StartupError(
            f"{folder}/config.json sets attention_bias to false, and a {architecture.name} always has "
            "biases; take the key out or choose another model."
        )
    for name, value in settings.items():
        if name in architecture.defaults or name in HARMLESS or name in ROPE_KEYS or _is_off(name, value):
            continue
        if name in NEUTRAL or name in ("attention_bias", "mlp_bias"):
            raise StartupError(f"{folder} sets {name}, which is not supported; choose another model.")
        raise StartupError(
            f"config.json of {folder} sets {shown(name)}, which is not known here; take the key out if it "
            "does not change what the model computes, or choose another model."
        )


def _is_off(name: str, value: Any) -> bool:
    if name in NEUTRAL:
        return any(type(value) is type(neutral) and value == neutral for neutral in NEUTRAL[name])
    return not value


def _method(quantization: Any) -> str:
    """How weights were quantised, as far as the setting says it."""
    if isinstance(quantization, dict):
        for key in ("quant_method", "quant_algo", "format", "bits"):
            value: Any = quantization.get(key)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            if isinstance(value, str | int):
                return f"{key} {shown(str(value))}"
    return "of an unknown kind"
