"""Compressed sparse rows, as both wire formats send them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def fits(values: Array, rows: Array, columns: Array, shape: tuple[int, ...]) -> bool:
    """Whether row starts int64 [n + 1] and columns int64 [cells] place the values in a shape (n, k)."""
    if len(shape) != 2 or min(shape) < 0 or len(rows) != shape[0] + 1 or len(columns) != len(values):
        return False
    # Compared, not subtracted: differences of 64-bit numbers wrap around.
    if rows[0] != 0 or rows[-1] != len(values) or bool((rows[1:] < rows[:-1]).any()):
        return False
    return not len(columns) or bool(columns.min() >= 0 and columns.max() < shape[1])


def cells(rows: Array, columns: Array) -> tuple[Array, Array]:
    """The (row, column) of each listed value, as indices of a dense array."""
    return np.repeat(np.arange(len(rows) - 1), np.diff(rows)), columns
