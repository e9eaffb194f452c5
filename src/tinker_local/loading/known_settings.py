"""Every setting of a config.json is honoured, known to be harmless, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinker_local.errors import StartupError
from tinker_local.loading.architectures import Architecture
from tinker_local.loading.json_file import shown
from tinker_local.loading.rope_settings import ROPE_KEYS

HARMLESS: Mapping[str, str] = {
    name: reason
    for reason, names in {
        "read elsewhere": "architectures model_type eos_token_id",
        "where the file comes from": (
            "_name_or_path _commit_hash transformers_version unsloth_fixed unsloth_version is_llama_config"
        ),
        "the stored type is read from the weights": "torch_dtype dtype",
        "which of several ways to the same numbers": (
            "use_cache _attn_implementation _attn_implementation_autoset attn_implementation "
            "_flash_attn_2_enabled chunk_size_feed_forward transformers.js_config"
        ),
        "for the training of all weights, which Tinker has not": (
            "initializer_range attention_dropout gradient_checkpointing"
        ),
        "ids that only a tokenizer or a padded batch needs": "bos_token_id pad_token_id unk_token_id",
        "what else a call hands out": (
            "output_attentions output_hidden_states return_dict use_return_dict torchscript"
        ),
        "for heads of other tasks, or of old": (
            "id2label label2id num_labels problem_type finetuning_task task_specific_params is_decoder"
        ),
        # `_get_default_generation_params` of GenerationConfig in transformers 5.23.0.
        "how to sample, which each request says for itself": (
            "assistant_confidence_threshold assistant_lookbehind bad_words_ids begin_suppress_tokens "
            "diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size "
            "encoder_repetition_penalty epsilon_cutoff eta_cutoff exponential_decay_length_penalty "
            "forced_bos_token_id forced_eos_token_id length_penalty max_length min_length "
            "no_repeat_ngram_size num_assistant_tokens num_assistant_tokens_schedule num_beam_groups "
            "num_beams num_return_sequences output_scores remove_invalid_values repetition_penalty "
            "return_dict_in_generate suppress_tokens target_lookbehind temperature top_k top_p typical_p"
        ),
    }.items()
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
