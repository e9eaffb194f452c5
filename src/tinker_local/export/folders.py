"""Folders in Hugging Face's layout: merged models, bases to put an adapter on, and PEFT's adapters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from tinker_local.errors import ExportError
from tinker_local.export.source import Source
from tinker_local.loading.json_file import read_json
from tinker_local.loading.safetensors_headers import UNEMBEDDING
from tinker_local.loading.safetensors_weights import write_weights
from tinker_local.service.checkpoint_files.peft_layout import peft_config, peft_tensors

BESIDE_WEIGHTS = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
)
"""The files of a model's folder that concern its texts; they are copied as they are."""
BASE = "base"
"""The folder, inside a PEFT folder, of the base that the adapter belongs on."""
TYPES: Mapping[str, torch.dtype] = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def write_merged_folder(
    source: Source, folder: Path, kind: str, wrote: Callable[[int], None] = lambda _: None
) -> None:
    """The merged model as transformers loads it, stored as f32, f16 or bf16; raises ExportError.

    `wrote` is given how many tensors are written, here and below.
    """
    dtype = TYPES[kind]
    shapes = source.shapes()
    written = count(1)

    def rows_of(name: str) -> Iterator[Tensor]:
        yield finite(source.merged(name).to(dtype), name, kind)
        wrote(next(written))

    write_weights(folder / "model.safetensors", shapes, dtype, rows_of)
    _write_beside(source, folder, dtype)


def write_peft_folder(source: Source, folder: Path, wrote: Callable[[int], None] = lambda _: None) -> None:
    """The adapter as PEFT loads it, with the base to load it on where no name leads there.

    On a base that ties its unembedding to its embedding, an adapter of the unembedding would change both as
    soon as it is merged; such an adapter leaves with a copy of the base in which the two are apart.
    Raises ExportError.
    """
    config = peft_config(source.info.base_model, source.adapter.config)
    carries_base = source.needs_own_head or source.base_is_only_here
    config |= {
        "base_model_name_or_path": f"./{BASE}" if carries_base else source.info.base_model,
        "inference_mode": True,
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
    }
    save_file(peft_tensors(source.adapter), folder / "adapter_model.safetensors", {"format": "pt"})
    _write_json(folder / "adapter_config.json", config)
    _copy_texts(source, folder)
    if carries_base:
        write_base_folder(source, folder / BASE, wrote)


def write_base_folder(source: Source, folder: Path, wrote: Callable[[int], None] = lambda _: None) -> None:
    """The base without the adapter, in float32; untied where the adapter needs a head of its own."""
    written = count(1)

    def rows_of(name: str) -> Iterator[Tensor]:
        yield source.plain(name).float()
        wrote(next(written))

    folder.mkdir()
    write_weights(folder / "model.safetensors", source.shapes(), torch.float32, rows_of)
    _write_beside(source, folder, torch.float32)


def finite(weight: Tensor, name: str, kind: str) -> Tensor:
    """The weight itself; raises ExportError where a number was too large for its type."""
    if not bool(torch.isfinite(weight).all()):
        raise ExportError(f"{name} holds numbers too large for {kind}; choose --quantize f32.")
    return weight


def require_plain_positions(source: Source) -> None:
    """Raise ExportError where positions are scaled in a way that transformers has no name for."""
    settings = read_json(source.base.folder / "config.json")
    scaling: Any = settings.get("rope_scaling") or {}
    if isinstance(scaling, dict) and scaling.get("rope_type") == "divisors":  # pyright: ignore[reportUnknownMemberType]
        raise ExportError(
            f"{source.info.base_model} scales its positions by numbers of its own, which transformers cannot "
            "read from a config.json; use --to gguf, or --to gguf-adapter."
        )


def _write_beside(source: Source, folder: Path, dtype: torch.dtype) -> None:
    settings = read_json(source.base.folder / "config.json")
    settings.pop("torch_dtype", None)
    settings["dtype"] = str(dtype).removeprefix("torch.")
    settings["tie_word_embeddings"] = UNEMBEDDING not in source.shapes()
    _write_json(folder / "config.json", settings)
    generation = source.base.folder / "generation_config.json"
    if generation.exists():
        shutil.copyfile(generation, folder / generation.name)
    else:
        ends = sorted(source.base.end_tokens)
        begin = settings.get("bos_token_id")
        _write_json(folder / generation.name, {"bos_token_id": begin, "eos_token_id": ends or None})
    _copy_texts(source, folder)


def _copy_texts(source: Source, folder: Path) -> None:
    for name in BESIDE_WEIGHTS:
        if (source.base.folder / name).exists():
            shutil.copyfile(source.base.folder / name, folder / name)


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
