"""A base model by its name or path: weights, tokenizer, and what clients call it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from tokenizers import Tokenizer

from base_models import BaseModelError, resolve
from tinker_local.engine.llama import Llama, weight_shapes
from tinker_local.engine.products import cpu_flags
from tinker_local.errors import StartupError
from tinker_local.loading.architectures import find_architecture
from tinker_local.loading.config_json import end_tokens, read_config
from tinker_local.loading.json_file import read_json
from tinker_local.loading.other_layouts import refuse_other_layouts
from tinker_local.loading.safetensors_weights import read_weights
from tinker_local.loading.stored_tensors import check_tensors, stored_tensors, weight_files
from tinker_local.loading.tokenizer_file import read_tokenizer

LARGE_MODEL = 500_000_000
"""From this many parameters on, bfloat16 is worth its rounding, where the processor is fast at it."""


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model with the name clients use and the files its tokenizer lies in."""

    name: str
    folder: Path
    architecture: str
    model: Llama
    tokenizer: Tokenizer
    end_tokens: frozenset[int]

    @property
    def tokenizer_source(self) -> str:
        """The folder from which the SDK can load the tokenizer, in a form that it does not misread.

        The SDK takes a name with exactly two slashes for `org/model/variant` and drops the last part,
        so a path such as /models/tiny gets one more slash. The hub's name would not do: the SDK looks
        for some models' tokenizers under another one, and the hub may be out of reach.
        """
        path = str(self.folder)
        return f"{path}/" if path.count("/") == 2 else path


def load_base_model(name: str, dtype: str, device: torch.device) -> BaseModel:
    """Load weights and tokenizer; raises StartupError where they are missing, wrong or too large."""
    folder = _find(name)
    refuse_other_layouts(folder)
    settings = read_json(folder / "config.json")
    config = read_config(settings, folder)
    stored = stored_tensors(weight_files(folder))
    num_parameters = sum(math.prod(shape) for shape in weight_shapes(config).values())
    chosen = choose_dtype(dtype, num_parameters, device)
    tables = 3 * config.max_position_embeddings * config.head_dim * torch.float32.itemsize
    _check_memory(num_parameters * chosen.itemsize + tables, device)
    check_tensors(stored, config, folder)
    # What is quickly told comes before the weights, which can take minutes.
    tokenizer = read_tokenizer(folder, config.vocab_size)
    ends = end_tokens(folder, settings, config.vocab_size)
    return BaseModel(
        name=name,
        folder=folder.resolve(),
        architecture=find_architecture(settings, folder).name,
        model=Llama(config, read_weights(stored, config, chosen, device)),
        tokenizer=tokenizer,
        end_tokens=ends,
    )


def _find(name: str) -> Path:
    try:
        return resolve(name).path
    except BaseModelError as error:
        raise StartupError(str(error)) from error


def choose_dtype(wanted: str, num_parameters: int, device: torch.device) -> torch.dtype:
    """The type to compute in: as told, or by the model's size and what the machine is fast at."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16
    # A small model's steps are dominated by overhead, so it may as well have float32's accuracy.
    fast = bool({"avx512_bf16", "amx_bf16"} & cpu_flags())
    return torch.bfloat16 if fast and num_parameters >= LARGE_MODEL else torch.float32


def _check_memory(needed: int, device: torch.device) -> None:
    available = (
        torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    )
    if needed > available:
        raise StartupError(
            f"The weights take {needed / 2**30:.1f} GiB and {available / 2**30:.1f} GiB of memory are free; "
            "choose a smaller base model."
        )
