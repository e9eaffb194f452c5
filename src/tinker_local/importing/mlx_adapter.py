"""An adapter as mlx-lm saves one: matrices the other way round, and a scale that no rank divides."""

from __future__ import annotations

import re
from typing import Any, cast

from torch import Tensor

from tinker_local.errors import AdapterError
from tinker_local.importing.files import AdapterFiles
from tinker_local.importing.layers import ForeignAdapter, Term, matrix, number

KEY = re.compile(r"(?P<layer>.+)\.lora_(?P<part>a|b)")


def read_mlx_adapter(files: AdapterFiles) -> ForeignAdapter:
    """Y = x W^T + scale * (x a) b, with a [in, rank] and b [rank, out] (mlx_lm/tuner/lora.py, 0.32.2).

    Raises AdapterError for DoRA, for a full fine-tuning, and for tensors that are neither a nor b.
    """
    kind = files.config.get("fine_tune_type", "lora")
    if kind != "lora":
        raise AdapterError(
            f"{files.path} is of mlx-lm's kind {kind!r}, and only 'lora' is supported; fuse it with "
            "mlx_lm.fuse and use the fused model as a base."
        )
    settings: Any = files.config.get("lora_parameters")
    scale = cast(dict[str, Any], settings).get("scale") if isinstance(settings, dict) else None
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise AdapterError(
            f"{files.path} tells no scale (lora_parameters in adapter_config.json), which mlx-lm needs too; "
            "add the one that it was trained with."
        )
    told = number(files.path, "scale", scale)
    pairs: dict[str, dict[str, Tensor]] = {}
    for key, tensor in files.tensors.items():
        match = KEY.fullmatch(key)
        if match is None:
            raise AdapterError(
                f"{files.path} holds the tensor {key!r}, which is no matrix of a LoRA term; fuse the adapter "
                "with mlx_lm.fuse and use the fused model as a base."
            )
        pairs.setdefault(match["layer"], {})[match["part"]] = matrix(files.path, key, tensor)
    terms: dict[str, Term] = {}
    for layer, pair in pairs.items():
        if set(pair) != {"a", "b"}:
            raise AdapterError(f"{files.path} has one half of {layer}'s term only; save the adapter again.")
        terms[layer] = Term(pair["a"].T, pair["b"].T, told)
    named = files.config.get("model")
    return ForeignAdapter(named if isinstance(named, str) and named else None, terms, {})
