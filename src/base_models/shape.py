"""How wide a model is, and of which family: what a default learning rate goes by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

Family = Literal["llama", "qwen"]

FAMILIES: Mapping[str, Family] = {
    "llama": "llama",
    "qwen2": "qwen",
    "qwen3": "qwen",
    "qwen3_moe": "qwen",
    "qwen3_5": "qwen",
    "qwen3_5_moe": "qwen",
}
"""The `model_type` of a config.json, for the families that a rule is known for."""


@dataclass(frozen=True)
class ModelShape:
    """The width of the states between layers, and the family, None where no rule is known for it."""

    family: Family | None
    hidden_size: int


def shape_of_config(config: Mapping[str, Any]) -> ModelShape | None:
    """The shape that a config.json tells, also where it nests the language model's part."""
    inner = config.get("text_config")
    if isinstance(inner, dict):
        return shape_of_config({"model_type": config.get("model_type"), **cast(dict[str, Any], inner)})
    hidden_size = config.get("hidden_size")
    if not isinstance(hidden_size, int):
        return None
    kind = str(config.get("model_type", "")).removesuffix("_text")
    return ModelShape(FAMILIES.get(kind), hidden_size)


def shape_on_the_hub(name: str) -> ModelShape | None:
    """The shape of a model by its hub name, read of config.json alone; None where that cannot be had."""
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import (
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    )

    try:
        # A service's name may have a variant behind a colon, which the hub does not know.
        file = hf_hub_download(name.split(":")[0], "config.json", etag_timeout=5)
        return shape_of_config(json.loads(Path(file).read_text(encoding="utf-8")))
    except (HFValidationError, HTTPError, OSError, ValueError):
        return None
