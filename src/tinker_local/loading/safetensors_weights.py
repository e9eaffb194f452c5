"""Weights in safetensors files."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor

from tinker_local.engine.model.llama import LlamaConfig, weight_shapes
from tinker_local.errors import StartupError
from tinker_local.loading.json_file import shown
from tinker_local.loading.safetensors_headers import StoredTensor, open_tensors


def read_weights(
    stored: Mapping[str, StoredTensor], config: LlamaConfig, dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    """Every tensor that the configuration needs, in the type to compute in.

    `stored` are the tensors of the files as `check_tensors` let them pass. What is stored in the type to
    compute in stays memory-mapped. Raises StartupError where a file is damaged or a number is not finite.
    """
    weights: dict[str, Tensor] = {}
    for file, names in _by_file(stored, config).items():
        try:
            # Tensor by tensor, so that what is stored in another type never lies in memory twice.
            with open_tensors(file) as opened:
                for name in names:
                    tensor = cast(Tensor, opened.get_tensor(name))
                    weights[name] = tensor.to(device=device, dtype=dtype)
                    if not _is_finite(weights[name]):
                        raise _not_finite(name, file, tensor, dtype)
        except (SafetensorError, OSError) as error:
            raise StartupError(f"{file} is damaged ({shown(str(error))}); download it again.") from error
    return weights


def map_weights(stored: Mapping[str, StoredTensor], config: LlamaConfig) -> dict[str, Tensor]:
    """The tensors as they are stored, memory-mapped and not looked at: they were read and checked before."""
    weights: dict[str, Tensor] = {}
    for file, names in _by_file(stored, config).items():
        with open_tensors(file) as opened:
            weights.update((name, cast(Tensor, opened.get_tensor(name))) for name in names)
    return weights


def _by_file(stored: Mapping[str, StoredTensor], config: LlamaConfig) -> dict[Path, list[str]]:
    """The names of the tensors that the configuration needs, by the file that holds them."""
    by_file: dict[Path, list[str]] = {}
    for name in weight_shapes(config):
        by_file.setdefault(stored[name].file, []).append(name)
    return by_file


def write_weights(
    file: Path,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    rows_of: Callable[[str], Iterable[Tensor]],
) -> None:
    """Write and flush a file of tensors of one type, float32, bfloat16 or float16; raises OSError.

    `rows_of` makes a tensor by its name, a few rows after another, so that no whole tensor has to lie in
    memory as it would for the library. The format is that of the safetensors repository: the length of the
    header, the header as JSON, and the tensors without gaps.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}[dtype],
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


def _is_finite(weight: Tensor) -> bool:
    # The extremes of a tensor that holds a NaN are NaN. Finding them takes one pass and no memory, where
    # `isfinite` of every number takes thirty times as long.
    smallest, largest = torch.aminmax(weight)
    return bool(torch.isfinite(smallest) and torch.isfinite(largest))


def _not_finite(name: str, file: Path, stored: Tensor, dtype: torch.dtype) -> StartupError:
    if _is_finite(stored):
        return StartupError(
            f"{name} in {file} holds numbers too large for {str(dtype).removeprefix('torch.')}; use "
            "--dtype float32."
        )
    return StartupError(
        f"{name} in {file} holds numbers that are not finite (inf or nan); download it again, or choose "
        "another model."
    )
