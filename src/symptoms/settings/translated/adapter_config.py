"""The fields of PEFT's LoraConfig, which PEFT's own file has and TRL takes."""

import math
from collections.abc import Mapping, Sequence

from symptoms.errors import InputError
from symptoms.packaged import packaged
from symptoms.settings.translated.common import carry_layers, names_in
from symptoms.settings.translated.lora_scale import Scale, carry_rank
from symptoms.settings.translated.their_values import TheirValues

_TOLD = packaged(__package__, "adapter_config.toml")
OF_THE_LIBRARY: Sequence[str] = _TOLD["of_the_library"]
LACKING: Mapping[str, str] = _TOLD["lacking"]
"""What ours has not, by PEFT's name, and why."""
ALL_LINEAR = "all-linear"
ON_THEIR_OWN = ["q_proj", "v_proj"]
"""What PEFT adapts of Llama, Qwen2 and Qwen3 where nobody names layers."""


def carry_adapter(theirs: TheirValues, prefix: str, alpha: float, rank: int, dropout: float) -> Scale:
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
    if alpha <= 0:
        nothing = "with which an adapter adds nothing; correct it in the file."
        raise InputError(f"lora_alpha is {alpha:g}, {nothing}")
    factor = alpha / (math.sqrt(rank) if root else rank)
    by = f"{'the root of ' if root else ''}rank {rank}"
    scale = Scale(factor, rank, f"theirs is lora_alpha {alpha:g} / {by} = {factor:g}")
    carry_rank(theirs, scale, theirs.whence(rank_name))
    _carry_targets(theirs, f"{prefix}target_modules")
    _leave_what_ours_lacks(theirs, prefix, dropout)
    return scale


def _carry_targets(theirs: TheirValues, name: str) -> None:
    value = theirs.any(name)
    modules = names_in(value)
    if value is None:
        carry_layers(theirs, ON_THEIR_OWN, f"{name}, by default for Llama and Qwen in {theirs.tool}")
    elif value == ALL_LINEAR or modules == [ALL_LINEAR]:
        carry_layers(theirs, None, f"{name} {ALL_LINEAR}")
    elif modules is None:
        raise InputError(f"{name} is {value!r}, and names were expected; correct it in the file.")
    elif isinstance(value, str) and not value.isidentifier():
        said = "say with train_attn, train_mlp and train_unembed what it names"
        theirs.leave(name, f"{value} is a pattern; {said}")
    else:
        # A path such as model.layers.0.self_attn.q_proj names a single layer, ours adapt all of a kind.
        if any("." in one for one in modules):
            kinds = "here all layers of a kind are adapted"
            theirs.leave(name, f"it names single layers by their paths, and {kinds}")
        carry_layers(theirs, {one.rpartition(".")[2] for one in modules}, name)


def _leave_what_ours_lacks(theirs: TheirValues, prefix: str, dropout: float) -> None:
    rate = theirs.number("lora_dropout", dropout)
    if rate:
        theirs.leave(theirs.whence("lora_dropout"), f"{rate:g}, and an adapter has no dropout here")
    for plain, why in LACKING.items():
        name = f"{prefix}{plain}" if plain == "modules_to_save" else plain
        if theirs.any(name) not in (None, False, "", [], {}):
            theirs.leave(name, why)
    if theirs.any("bias", "none") != "none":
        theirs.leave("bias", "biases are not trained here")
    begun = theirs.any("init_lora_weights", True)
    if begun is not True and str(begun).lower() != "true":
        ours = "here A is uniform within 1 / sqrt(width) and B zero, PEFT's own"
        theirs.leave("init_lora_weights", f"{begun}; {ours}")
