"""The fields of PEFT's LoraConfig, which PEFT's own file has and TRL takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from symptoms.errors import InputError
from symptoms.settings.translated.common import carry_layers, names_in
from symptoms.settings.translated.lora_scale import Scale, carry_rank
from symptoms.settings.translated.their_values import TheirValues
from symptoms.settings.translated.translation import Draft

OF_THE_LIBRARY = (
    "peft_type",
    "task_type",
    "auto_mapping",
    "peft_version",
    "inference_mode",
    "megatron",
    "runtime_config",
    "revision",
    "qalora_group_size",
)
ALL_LINEAR = "all-linear"
ON_THEIR_OWN = ["q_proj", "v_proj"]
"""What PEFT adapts of Llama, Qwen2 and Qwen3 where nobody names layers."""


def carry_adapter(
    draft: Draft, theirs: TheirValues, prefix: str, alpha: float, rank: int, dropout: float
) -> Scale:
    """Rank, scale and layers of an adapter; `prefix` stands before the names there, `lora_` in TRL's own.

    The other numbers are the defaults, which TRL has other ones of. Raises InputError for what is no LoRA.
    """
    kind = theirs.any("peft_type", "LORA")
    if str(kind).rpartition(".")[2].upper() != "LORA":
        raise InputError(f"peft_type is {kind}, and only LoRA can be trained here; choose a LoRA's file.")
    rank_name = f"{prefix}r" if prefix else "r"
    rank = theirs.whole(rank_name, rank)
    if rank < 1:
        raise InputError(f"{rank_name} is {rank}, and 1 or more was expected; correct it in the file.")
    alpha = theirs.number("lora_alpha", alpha)
    root = theirs.flag("use_rslora")
    words = (
        f"theirs is lora_alpha {alpha:g} / {'the root of ' if root else ''}rank {rank} = "
        f"{alpha / (math.sqrt(rank) if root else rank):g}"
    )
    if alpha <= 0:
        raise InputError(
            f"lora_alpha is {alpha:g}, with which an adapter adds nothing; correct it in the file."
        )
    scale = Scale(alpha / (math.sqrt(rank) if root else rank), rank, words)
    carry_rank(draft, scale, theirs.whence(rank_name))
    _carry_targets(draft, theirs, f"{prefix}target_modules")
    _leave_what_ours_lacks(draft, theirs, prefix, dropout)
    return scale


def _carry_targets(draft: Draft, theirs: TheirValues, name: str) -> None:
    value = theirs.any(name)
    modules = names_in(value)
    if value is None:
        carry_layers(draft, ON_THEIR_OWN, f"{name}, by default for Llama and Qwen in {theirs.tool}")
    elif value == ALL_LINEAR or modules == [ALL_LINEAR]:
        carry_layers(draft, None, f"{name} {ALL_LINEAR}")
    elif modules is None:
        raise InputError(f"{name} is {value!r}, and names were expected; correct it in the file.")
    elif isinstance(value, str) and not value.isidentifier():
        draft.leave(
            name, f"{value} is a pattern; say with train_attn, train_mlp and train_unembed what it names"
        )
    else:
        # A path such as model.layers.0.self_attn.q_proj names a single layer, ours adapt all of a kind.
        if any("." in one for one in modules):
            draft.leave(
                name, "it names single layers by their paths, and here all layers of a kind are adapted"
            )
        carry_layers(draft, {one.rpartition(".")[2] for one in modules}, name)


def _leave_what_ours_lacks(draft: Draft, theirs: TheirValues, prefix: str, dropout: float) -> None:
    rate = theirs.number("lora_dropout", dropout)
    if rate:
        draft.leave(theirs.whence("lora_dropout"), f"{rate:g}, and an adapter has no dropout here")
    lacking: Mapping[str, str] = {
        "use_dora": "DoRA rescales each row of a layer, which is another adapter",
        f"{prefix}modules_to_save": "whole layers are not trained here",
        "layers_to_transform": "here the adapter is in all layers",
        "exclude_modules": "here all layers of a kind are adapted",
        "rank_pattern": "here all layers have one rank",
        "alpha_pattern": "here all layers have alpha 32",
        "lora_bias": "biases are not trained here",
        "trainable_token_indices": "single tokens are not trained here",
        "ensure_weight_tying": "a tied unembedding that is adapted becomes one of its own here",
    }
    for name, why in lacking.items():
        value = theirs.any(name)
        if value not in (None, False, "", [], {}):
            draft.leave(name, why)
    if theirs.any("bias", "none") != "none":
        draft.leave("bias", "biases are not trained here")
    begun = theirs.any("init_lora_weights", True)
    if begun is not True and str(begun).lower() != "true":
        draft.leave(
            "init_lora_weights", f"{begun}; here A is uniform within 1 / sqrt(width) and B zero, PEFT's own"
        )


def as_values(tool: str, value: object) -> TheirValues:
    """A nested LoraConfig; raises InputError for anything but names with values."""
    if not isinstance(value, Mapping):
        raise InputError(
            f"peft_config is {value!r}, and names with values were expected; correct it in the file."
        )
    return TheirValues(tool, cast(Mapping[str, Any], value))
