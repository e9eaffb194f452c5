"""An adapter's two files, out of a folder or out of an archive as hosted Tinker gives one."""

from __future__ import annotations

import gzip
import json
import lzma
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from tinker_local.errors import AdapterError

CONFIG = "adapter_config.json"
PEFT_WEIGHTS, MLX_WEIGHTS = "adapter_model.safetensors", "adapters.safetensors"
WEIGHTS = (PEFT_WEIGHTS, MLX_WEIGHTS)
PICKLED = ("adapter_model.bin", "adapters.npz")


@dataclass(frozen=True)
class AdapterFiles:
    """What an adapter consists of: its settings, and its tensors as they are stored."""

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    is_mlx: bool
    """Whether mlx-lm wrote it, by the name of the file of weights."""


def read_adapter_files(path: Path) -> AdapterFiles:
    """Read a folder, or a .tar, .tar.gz or .tgz; raises AdapterError where it holds no adapter."""
    try:
        files = _of_folder(path) if path.is_dir() else _of_archive(path)
    except FileNotFoundError as error:
        raise AdapterError(f"There is no {path}; give the folder of an adapter, or its archive.") from error
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise AdapterError(
            f"{path} is no archive, or not a whole one; give the folder that PEFT, mlx-lm or Tinker saved an "
            "adapter in, or a .tar, .tar.gz or .tgz of it."
        ) from error
    except OSError as error:
        raise AdapterError(
            f"{path} cannot be read ({error.strerror}); give the folder of an adapter, or its archive."
        ) from error
    if CONFIG not in files:
        raise AdapterError(
            f"{path} holds no {CONFIG}; give the folder that PEFT, mlx-lm or Tinker saved an adapter in."
        )
    found = [name for name in WEIGHTS if name in files]
    if not found:
        pickled = next((name for name in PICKLED if name in files), None)
        raise AdapterError(
            f"{path} holds {pickled}, which could run code and is not read; save the adapter as safetensors."
            if pickled
            else f"{path} holds no {PEFT_WEIGHTS}; give the folder that holds the adapter's weights."
        )
    try:
        config = json.loads(files[CONFIG])
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{CONFIG} in {path} is not valid JSON; save the adapter again.") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{CONFIG} in {path} is no JSON object; save the adapter again.")
    try:
        tensors = load(files[found[0]])
    except SafetensorError as error:
        raise AdapterError(f"{found[0]} in {path} is damaged ({error}); get it again.") from error
    except KeyError as error:
        # Types of 8 bits and less that safetensors knows and torch does not.
        raise AdapterError(
            f"{found[0]} in {path} stores numbers as {error.args[0]}, which is not read; save the adapter "
            "again in float32."
        ) from error
    return AdapterFiles(path, config, tensors, found[0] == MLX_WEIGHTS)  # pyright: ignore[reportUnknownArgumentType]


def _of_folder(folder: Path) -> dict[str, bytes]:
    wanted = (CONFIG, *WEIGHTS)
    return {
        file.name: file.read_bytes() if file.name in wanted else b""
        for file in folder.iterdir()
        if file.name in (*wanted, *PICKLED)
    }


def _of_archive(file: Path) -> dict[str, bytes]:
    """The wanted files by their bare names, read and never unpacked, so that no path in it matters."""
    files: dict[str, bytes] = {}
    with tarfile.open(file) as archive:
        for member in archive:
            name = Path(member.name).name
            if member.isfile() and name in (CONFIG, *WEIGHTS, *PICKLED):
                opened = archive.extractfile(member)
                assert opened is not None, "a regular file of an archive can be read"
                files[name] = opened.read() if name not in PICKLED else b""
    return files
