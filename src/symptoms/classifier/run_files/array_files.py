"""Arrays that an evaluation keeps in a run directory, several in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import BadZipFile

from symptoms.errors import RunError

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays by name in a file, in place of an earlier one."""
    import numpy as np

    partial = file.with_name(f".{file.name}.partial.npz")
    np.savez_compressed(partial, allow_pickle=False, **arrays)
    partial.replace(file)


def read_arrays(file: Path, made_of: Callable[[Mapping[str, NDArray[Any]]], T]) -> T | None:
    """What `made_of` makes of a file's arrays, None where there is no file.

    Raises RunError for a file that is none, or that has not what `made_of` looks for.
    """
    import numpy as np

    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            return made_of(stored)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise RunError(
            f"{file} cannot be read; remove it, or write it anew with 'symptoms evaluate {file.parent.name}'."
        ) from error
