"""A GGUF file written as a folder in Hugging Face's layout."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tinker_local.engine.model.llama import weight_shapes
from tinker_local.errors import StartupError
from tinker_local.loading.config.config_json import read_config
from tinker_local.loading.gguf.config import end_tokens, read_settings
from tinker_local.loading.gguf.file import GgufFile, open_gguf
from tinker_local.loading.gguf.tensors import GgufWeight, dequantised, used_weights
from tinker_local.loading.gguf.tokenizer import tokenizer_files
from tinker_local.loading.safetensors_weights import write_weights


@dataclass(frozen=True)
class GgufModel:
    """What a GGUF file holds, checked, with its weights still where they are."""

    file: GgufFile
    settings: Mapping[str, Any]
    weights: Mapping[str, GgufWeight]
    shapes: Mapping[str, tuple[int, ...]]
    tokenizer: Mapping[str, str]
    """The files of the tokenizer by name."""

    @property
    def num_parameters(self) -> int:
        """How many numbers all weights hold, by their shapes; nothing is read for it."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_gguf(path: Path) -> GgufModel:
    """Read all but the weights; raises StartupError for what is damaged or would not be computed exactly."""
    file = open_gguf(path)
    settings = read_settings(file)
    config = read_config(settings, path)
    return GgufModel(
        file=file,
        settings=settings,
        weights=used_weights(file, config),
        shapes=weight_shapes(config),
        tokenizer=tokenizer_files(file.fields, str(path)),
    )


def write_folder(model: GgufModel, dtype: torch.dtype, folder: Path) -> None:
    """Write what `load_base_model` reads, the weights dequantised, into an empty folder.

    Raises StartupError for a weight that is not finite, and OSError where the disk refuses.
    """
    texts = {
        "config.json": json.dumps({**model.settings, "dtype": str(dtype).removeprefix("torch.")}, indent=1),
        "generation_config.json": json.dumps({"eos_token_id": end_tokens(model.file)}),
        **model.tokenizer,
    }
    for name, text in texts.items():
        write_text(folder / name, text)

    def rows_of(name: str) -> Iterator[Tensor]:
        weight = model.weights[name]
        for numbers in dequantised(weight):
            rows = torch.tensor(numbers).to(dtype)
            if not rows.isfinite().all():
                raise StartupError(
                    f"{weight.tensor.name} in {model.file.paths[0]} holds numbers that are not finite; it "
                    "may be damaged, so get it again."
                )
            yield rows

    write_weights(folder / "model.safetensors", model.shapes, dtype, rows_of)


def write_text(file: Path, text: str) -> None:
    """Write a file and flush it to the disk; raises OSError."""
    with file.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
