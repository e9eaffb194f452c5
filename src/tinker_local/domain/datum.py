"""What is trained on, and what the loss says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Datum:
    """One sequence to train on: int64 tokens [n] and the named inputs of its loss, each [n, ...]."""

    tokens: Array
    loss_inputs: Mapping[str, Array]


@dataclass(frozen=True)
class DatumOutput:
    """What the loss says of one datum: named float32 arrays, each [n, ...]."""

    fields: Mapping[str, Array]
