"""Weights in safetensors files."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tinker_local.engine.llama import LlamaConfig, weight_shapes
from tinker_local.errors import StartupError
from tinker_local.loading.config_json import read_json


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder; raises StartupError where one is missing."""
    index = folder / "model.safetensors.index.json"
    names: list[str] = ["model.safetensors"]
    # A whole file wins over shards, as in transformers.
    if index.exists() and not (folder / names[0]).exists():
        names = sorted(set(read_json(index).get("weight_map", {"": "model.safetensors"}).values()))
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise StartupError(
            f"{folder} has no {missing[0]}; point --base-model at a folder that holds weights."
        )
    return [folder / name for name in names]


def read_weights(
    files: list[Path], config: LlamaConfig, dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    """Every tensor that the configuration needs, in the type to compute in; raises StartupError."""
    wanted = weight_shapes(config)
    weights: dict[str, Tensor] = {}
    for file in files:
        try:
            # Tensor by tensor, so that what is stored in another type never lies in memory twice. What the
            # model does not use, such as the stored unembedding of a tied model, is not read at all.
            opened: Any = safe_open(file, framework="pt")
            with opened as stored:
                for name in wanted.keys() & set(stored.keys()):
                    weights[name] = stored.get_tensor(name).to(device=device, dtype=dtype)
        except SafetensorError as error:
            raise StartupError(f"{file} is damaged ({error}); download it again.") from error
    for name, shape in wanted.items():
        if name not in weights:
            raise StartupError(f"The weights in {files[0].parent} lack {name}; they do not fit config.json.")
        if tuple(weights[name].shape) != shape:
            raise StartupError(
                f"{name} in {files[0].parent} has shape {tuple(weights[name].shape)} "
                f"where config.json means {shape}."
            )
    return weights


def write_weights(
    file: Path,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    rows_of: Callable[[str], Iterable[Tensor]],
) -> None:
    """Write and flush a file of tensors of one type, float32 or bfloat16; raises OSError.

    `rows_of` makes a tensor by its name, a few rows after another, so that no whole tensor has to lie in
    memory as it would for the library. The format is that of the safetensors repository: the length of the
    header, the header as JSON, and the tensors without gaps.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": {torch.float32: "F32", torch.bfloat16: "BF16"}[dtype],
            "shape": shape,
            "data_offsets": (start, end),
        }
    encoded = json.dumps(header).encode()
    # Padded, so that the tensors begin at a multiple of eight.
    encoded += b" " * (-len(encoded) % 8)
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in shapes:
            for rows in rows_of(name):
                opened.write(rows.contiguous().view(torch.uint8).numpy().data)
        opened.flush()
        os.fsync(opened.fileno())
