"""What the keys of a GGUF file mean, as the settings of a config.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from tinker_local.errors import StartupError
from tinker_local.loading.gguf.file import GgufFile
from tinker_local.loading.gguf.tokenizer_keys import shown_value, special_token

ARCHITECTURES: Mapping[str, str] = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""What is supported, by general.architecture. Mistral's files say llama."""

NEUTRAL: Mapping[str, Sequence[Any]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "embedding_scale": (1.0,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (1.0,),
    "pooling_type": (0,),
    "residual_scale": (1.0,),
    "rope.scale_linear": (0.0, 1.0),
    "rope.scaling.factor": (0.0, 1.0),
    "rope.scaling.finetuned": (False,),
    "rope.scaling.type": ("none",),
    # Of the layout in which queries and keys always lie.
    "tensor_data_layout": ("Meta AI original pth",),
    "use_parallel_residual": (False,),
}
"""Keys that would change the computation, with the values that do not. All other keys are refused."""

SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
ROPE_DIVISORS = "rope_freqs.weight"
LLAMA3_LOW, LLAMA3_HIGH, LLAMA3_ORIGINAL = 1.0, 4.0, 8192
"""The numbers of Llama 3.1, 3.2 and 3.3, which differ in nothing but the factor."""


def read_settings(file: GgufFile) -> dict[str, Any]:
    """The settings of a config.json, by the names that transformers has for them.

    Raises StartupError, which names the key, for whatever would not be computed exactly.
    """
    source = file.paths[0]
    architecture = find_architecture(file)
    keys = _Keys(source, f"{architecture}.", file.fields)
    hidden, heads = keys.whole("embedding_length"), keys.whole("attention.head_count")
    key_heads = keys.whole("attention.head_count_kv", heads)
    head_dim = _head_dim(keys, hidden, heads)
    if heads % key_heads:
        raise keys.refused(f"has {heads} attention heads, which {key_heads} heads of keys do not divide")
    settings: dict[str, Any] = {
        "architectures": [ARCHITECTURES[architecture]],
        "model_type": architecture,
        "vocab_size": _vocab_size(keys, file),
        "hidden_size": hidden,
        "intermediate_size": keys.whole("feed_forward_length"),
        "num_hidden_layers": keys.whole("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": keys.whole("context_length"),
        "rms_norm_eps": keys.positive("attention.layer_norm_rms_epsilon"),
        "rope_theta": keys.positive("rope.freq_base", 10000.0),
        "tie_word_embeddings": "output.weight" not in file.tensors,
    }
    # Before anything is made for each of them.
    if settings["num_hidden_layers"] > len(file.tensors):
        raise keys.refused(f"has {settings['num_hidden_layers']} blocks in {len(file.tensors)} tensors")
    window = keys.whole("attention.sliding_window", settings["max_position_embeddings"])
    if window < settings["max_position_embeddings"]:
        raise keys.refused(f"attends over a sliding window of {window} tokens, less than its context")
    keys.require_neutral()
    if ROPE_DIVISORS in file.tensors and architecture == "llama":
        settings["rope_scaling"] = _rope_scaling(file, settings["rope_theta"], head_dim)
    for name in ("bos", "eos"):
        token = special_token(file.fields, name, str(source))
        if token is not None:
            settings[f"{name}_token_id"] = token
    return settings


def find_architecture(file: GgufFile) -> str:
    """The general.architecture of a language model; raises StartupError for what is something else."""
    source = file.paths[0]
    kind = file.fields.get("general.type", "model")
    if kind == "adapter":
        raise StartupError(
            f"{source} is a LoRA adapter and no model; give the base model that it was made for."
        )
    if kind != "model":
        raise StartupError(
            f"{source} is of the type {shown_value(kind)} and no model; give the file of the model itself."
        )
    architecture = file.fields.get("general.architecture")
    if architecture is None:
        raise StartupError(f"{source} has no general.architecture; it may not be complete, so get it again.")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise StartupError(
            f"{source} is of the architecture {shown_value(architecture)}, which is not supported; "
            f"supported: {', '.join(ARCHITECTURES)}."
        )
    return architecture


def end_tokens(file: GgufFile) -> list[int]:
    """The ids at which a generation ends: end of text, of a turn, of a message; raises StartupError."""
    found = [special_token(file.fields, name, str(file.paths[0])) for name in ("eos", "eot", "eom")]
    return sorted({token for token in found if token is not None})


class _Keys:
    """The keys of one architecture. Each is used up by reading it, so that what is left over shows."""

    def __init__(self, source: Path, prefix: str, fields: Mapping[str, Any]) -> None:
        self._source = source
        self._prefix = prefix
        self._left = {key.removeprefix(prefix): v for key, v in fields.items() if key.startswith(prefix)}

    def refused(self, what: str) -> StartupError:
        return StartupError(f"{self._source} {what}, which is not supported; choose another model.")

    def whole(self, key: str, default: int | None = None) -> int:
        """A positive integer, or a list of equal ones, as files have that could differ block by block."""
        value = self._take(key, default)
        if isinstance(value, list):
            values = cast(list[Any], value)
            if any(each != values[0] for each in values):
                raise self.refused(f"sets {self._prefix}{key} for each block by itself")
            value = values[0] if values else None
        if type(value) is not int or value < 1:
            raise self._wrong(key, value)
        return value

    def positive(self, key: str, default: float | None = None) -> float:
        """A positive number, as it was written before it was stored in float32."""
        value = self._take(key, default)
        if type(value) is not float or not SMALLEST <= value <= LARGEST:
            raise self._wrong(key, value)
        return float(str(np.float32(value)))

    def require_neutral(self) -> None:
        """Refuse every key that is left, unless it says what holds anyway."""
        for key, value in self._left.items():
            if not any(
                type(value) is type(harmless) and value == harmless for harmless in NEUTRAL.get(key, ())
            ):
                raise self.refused(f"sets {self._prefix + key!r} to {shown_value(value)}")

    def _take(self, key: str, default: Any) -> Any:
        value = self._left.pop(key, default)
        if value is None:
            raise StartupError(
                f"{self._source} has no {self._prefix}{key}; it may not be complete, so get it again."
            )
        return value

    def _wrong(self, key: str, value: Any) -> StartupError:
        return StartupError(
            f"{self._source} sets {self._prefix}{key} to {shown_value(value)}; it may be damaged, so get "
            "it again."
        )


def _head_dim(keys: _Keys, hidden: int, heads: int) -> int:
    width = keys.whole("attention.key_length", hidden // heads or None)
    values, rotated = keys.whole("attention.value_length", width), keys.whole("rope.dimension_count", width)
    if values != width:
        raise keys.refused(f"has keys of {width} dimensions and values of {values}")
    if rotated != width:
        raise keys.refused(f"rotates {rotated} of the {width} dimensions of a head")
    if width % 2:
        raise keys.refused(f"has heads of {width} dimensions, an odd number")
    return width


def _vocab_size(keys: _Keys, file: GgufFile) -> int:
    source = file.paths[0]
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise StartupError(f"{source} has no tensor token_embd.weight; give the file of a whole model.")
    vocab_size = keys.whole("vocab_size", embedding.shape[0])
    tokens = file.fields.get("tokenizer.ggml.tokens")
    num_tokens = len(cast(list[Any], tokens)) if isinstance(tokens, list) else 0
    if not vocab_size == embedding.shape[0] == num_tokens:
        raise StartupError(
            f"{source} has a vocabulary of {vocab_size}, {embedding.shape[0]} embeddings and {num_tokens} "
            "tokens, which should be as many; choose another file of this model."
        )
    return vocab_size


def _rope_scaling(file: GgufFile, theta: float, head_dim: int) -> dict[str, Any] | None:
    """The scaling that stands in a file only as divisors of the frequencies.

    What Llama 3's formula gives is told as such, so that other programs can load the converted model;
    anything else as the divisors themselves, which only `config_json` reads.
    """
    tensor = file.tensors[ROPE_DIVISORS]
    if tensor.kind.name != "F32" or tensor.shape != (head_dim // 2,):
        raise StartupError(
            f"{ROPE_DIVISORS} in {file.paths[0]} is {tensor.kind.name} of shape {tensor.shape} where F32 of "
            f"shape {(head_dim // 2,)} is meant; it may be damaged, so get it again."
        )
    divisors = tensor.data.view("<f4")[0].astype(np.float64)
    if not (np.isfinite(divisors) & (divisors > 0)).all():
        raise StartupError(
            f"{ROPE_DIVISORS} in {file.paths[0]} is not positive; it may be damaged, so get it again."
        )
    if (divisors == 1).all():
        return None
    factor = float(divisors.max())
    turns = LLAMA3_ORIGINAL * theta ** -(np.arange(0, head_dim, 2) / head_dim) / (2 * np.pi)
    smooth = ((turns - LLAMA3_LOW) / (LLAMA3_HIGH - LLAMA3_LOW)).clip(0, 1)
    if np.allclose(divisors, 1 / ((1 - smooth) / factor + smooth), rtol=1e-6, atol=0):
        return {
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": LLAMA3_LOW,
            "high_freq_factor": LLAMA3_HIGH,
            "original_max_position_embeddings": LLAMA3_ORIGINAL,
        }
    return {"rope_type": "divisors", "divisors": divisors.tolist()}
