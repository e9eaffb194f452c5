"""The low-rank terms of an adapter that was made elsewhere, each with the factor that it counts by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tinker_local.errors import AdapterError

UNEMBEDDING = "lm_head"
ALIASES: Mapping[str, str] = {"model.unembed_tokens": UNEMBEDDING, "unembed_tokens": UNEMBEDDING}
"""Tinker's own name of the unembedding."""
TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""In which numbers an adapter may be stored."""


@dataclass(frozen=True)
class Term:
    """W + scale * B A of one layer: A [rank, in], B [out, rank], each a `matrix`, as it is stored."""

    a: Tensor
    b: Tensor
    scale: float

    @property
    def rank(self) -> int:
        """The smaller dimension of both."""
        return self.a.shape[0]


@dataclass(frozen=True)
class ForeignAdapter:
    """The terms by the engine's names of layers, and the base that the adapter says it is for.

    `copies` are weights of the base that came along, by its own names; PEFT saves the embeddings as soon as
    one of them has a term.
    """

    base_model: str | None
    terms: Mapping[str, Term]
    copies: Mapping[str, Tensor]


def matrix(path: Path, key: str, tensor: Tensor) -> Tensor:
    """The tensor itself, two-dimensional and of one of TYPES; raises AdapterError for any other."""
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise AdapterError(
            f"{path} holds {key!r} in the shape {list(tensor.shape)}, and a LoRA term is made of "
            "matrices that are not empty; save the adapter again."
        )
    if tensor.dtype not in TYPES:
        raise AdapterError(
            f"{path} holds {key!r} in the type {str(tensor.dtype).removeprefix('torch.')}, which is not "
            "read; save the adapter again in float32."
        )
    return tensor


def number(path: Path, name: str, value: Any) -> float:
    """A finite number of adapter_config.json; raises AdapterError for anything else."""
    if not isinstance(value, bool) and isinstance(value, int | float):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    raise AdapterError(f"{path} has a wrong value for {name} ({_shown(value)}); save the adapter again.")


def _shown(value: Any) -> str:
    """A value as it stands in Python, shortened where it is long."""
    try:
        shown = repr(value)
    except ValueError:  # a whole number of thousands of digits, which Python does not write out
        return "a number that is too long"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
