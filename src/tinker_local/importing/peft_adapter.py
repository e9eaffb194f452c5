"""An adapter as PEFT saves one, and as hosted Tinker does, which has another name for the unembedding."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor

from tinker_local.errors import AdapterError
from tinker_local.importing.files import AdapterFiles
from tinker_local.importing.layers import ALIASES, ForeignAdapter, Term, matrix, number

KEY = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<part>A|B)(\.default)?\.weight")
COPY = re.compile(r"base_model\.model\.(?P<layer>model\.embed_tokens|lm_head)(\.base_layer)?\.weight")

MERGE = "merge it in PEFT and use the merged model as a base"
READ = (
    "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights",
    "bias", "base_model_name_or_path",
)  # fmt: skip
HARMLESS = (
    "task_type", "inference_mode", "lora_dropout", "target_modules", "exclude_modules", "revision",
    "auto_mapping", "peft_version", "layers_to_transform", "layers_pattern", "loftq_config", "eva_config",
    "corda_config", "runtime_config", "megatron_core", "ensure_weight_tying", "qalora_group_size",
)  # fmt: skip
"""What changes nothing once the adapter is trained, or shows in its tensors."""
REFUSED: Mapping[str, str] = {
    "use_dora": f"is DoRA, which rescales whole matrices as well; {MERGE}",
    "use_qalora": f"is QA-LoRA, whose input is pooled first; {MERGE}",
    "lora_bias": "trains biases of its own (lora_bias); train it again without",
    "modules_to_save": f"brings whole layers of its own (modules_to_save); {MERGE}",
    "trainable_token_indices": f"brings embeddings of its own (trainable_token_indices); {MERGE}",
    "layer_replication": f"repeats layers of the base (layer_replication); {MERGE}",
    "target_parameters": f"changes parameters that are no linear layers (target_parameters); {MERGE}",
    "alora_invocation_tokens": "acts from the middle of a prompt on (aLoRA), which is not supported; train "
    "it again as LoRA",
    "fan_in_fan_out": f"is for layers stored the other way round (fan_in_fan_out); {MERGE}",
    "megatron_config": "is for Megatron's layers (megatron_config); convert it to PEFT's own first",
    "arrow_config": "routes between adapters (arrow_config); choose one of them",
}
"""What would be computed otherwise, with what to do instead."""
Patterns = tuple[tuple[re.Pattern[str], float], ...]
"""Which layers have a number of their own."""
PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base as it is."""


def read_peft_adapter(files: AdapterFiles) -> ForeignAdapter:
    """The terms with their scale: alpha / rank, or alpha / sqrt(rank) with rsLoRA, by the layer's patterns.

    Raises AdapterError, which names it, for whatever would not be computed exactly.
    """
    config = files.config
    _refuse_other_kinds(files)
    pairs: dict[str, dict[str, Tensor]] = {}
    copies: dict[str, Tensor] = {}
    for key, tensor in files.tensors.items():
        copy = COPY.fullmatch(key)
        if copy is not None:
            copies[f"{copy['layer']}.weight"] = tensor
            continue
        match = KEY.fullmatch(key)
        if match is None:
            raise AdapterError(
                f"{files.path} holds the tensor {key!r}, which is no matrix of a LoRA term; merge the "
                "adapter with the program that made it, and use the merged model as a base."
            )
        layer = ALIASES.get(match["layer"], match["layer"])
        pair = pairs.setdefault(layer, {})
        if match["part"] in pair:
            raise AdapterError(
                f"{files.path} holds two matrices {match['part']} of {layer}'s term, of which one is the "
                "adapter's; save that one alone."
            )
        pair[match["part"]] = matrix(files.path, key, tensor)
    alpha = number(files.path, "lora_alpha", config.get("lora_alpha"))
    ranks, alphas = _pattern(files, "rank_pattern"), _pattern(files, "alpha_pattern")
    stated = number(files.path, "r", config.get("r"))
    uses_root = _switch(files, "use_rslora")
    terms: dict[str, Term] = {}
    for layer, pair in pairs.items():
        if set(pair) != {"A", "B"}:
            raise AdapterError(f"{files.path} has one half of {layer}'s term only; save the adapter again.")
        rank = pair["A"].shape[0]
        own_rank, own_alpha = _matching(ranks, layer, stated), _matching(alphas, layer, alpha)
        if rank != own_rank:
            raise AdapterError(
                f"{files.path} has a term of rank {rank} at {layer}, where its adapter_config.json says "
                f"{own_rank:g}; correct r or rank_pattern there."
            )
        divisor = math.sqrt(rank) if uses_root else rank
        terms[layer] = Term(pair["A"], pair["B"], own_alpha / divisor)
    named = config.get("base_model_name_or_path")
    return ForeignAdapter(named if isinstance(named, str) and named else None, terms, copies)


def _refuse_other_kinds(files: AdapterFiles) -> None:
    config = files.config
    if config.get("peft_type", "LORA") != "LORA":
        raise AdapterError(
            f"{files.path} is of the kind {config['peft_type']}, and only LORA is supported; {MERGE}."
        )
    if config.get("bias", "none") != "none":
        raise AdapterError(
            f"{files.path} trains biases (bias {config['bias']!r}), which is not supported; {MERGE}."
        )
    for name, why in REFUSED.items():
        if config.get(name):
            raise AdapterError(f"{files.path} {why}.")
    start = config.get("init_lora_weights", True)
    if start not in PLAIN_STARTS:
        raise AdapterError(
            f"{files.path} was begun by {start!r}, which changes the base's own weights; save it again in "
            "PEFT with save_pretrained(path_initial_model_for_weight_conversion=...) to make a LoRA."
        )
    for name, value in config.items():
        if name not in (*READ, *HARMLESS, *REFUSED) and value not in (None, False, [], {}, ""):
            raise AdapterError(
                f"{files.path} sets {name} to {value!r}, which is not known here and would not be honoured; "
                "take it out of adapter_config.json if it changes nothing that is computed."
            )


def _switch(files: AdapterFiles, name: str) -> bool:
    value = files.config.get(name)
    if value is not None and not isinstance(value, bool):
        raise AdapterError(
            f"{files.path} has a wrong value for {name}, which is true or false; save the adapter again."
        )
    return bool(value)


def _pattern(files: AdapterFiles, name: str) -> Patterns:
    value: Any = files.config.get(name) or {}
    if not isinstance(value, dict):
        raise AdapterError(f"{files.path} has a wrong value for {name}; save the adapter again.")
    patterns: list[tuple[re.Pattern[str], float]] = []
    for layers, told in cast(dict[str, Any], value).items():
        try:
            # As PEFT has it: a layer's whole name, or its end from a dot on.
            pattern = re.compile(rf"(.*\.)?({layers})$")
        except (re.error, OverflowError, RecursionError) as error:
            raise AdapterError(
                f"{files.path} names layers in {name} by {layers[:60]!r}, which is no regular expression as "
                "PEFT reads one; correct it in adapter_config.json."
            ) from error
        patterns.append((pattern, number(files.path, name, told)))
    return tuple(patterns)


def _matching(patterns: Patterns, layer: str, otherwise: float) -> float:
    """The number of the first pattern that fits, as PEFT takes them."""
    return next((told for pattern, told in patterns if pattern.match(layer)), otherwise)
