"""Checkpoints on disk: adapters in PEFT's layout, written whole or not at all.

    <home>/runs/<run>/weights/<name>/          adapter, optimizer state, checkpoint.json
    <home>/runs/<run>/sampler_weights/<name>/  adapter, checkpoint.json

A checkpoint is written to a temporary name, flushed to the disk and renamed, so a crash leaves either
the whole of it or nothing that is listed. `checkpoint.json` holds a digest of every file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from tinker_local.engine.llama import LlamaConfig
from tinker_local.engine.lora import Adapter, LoraConfig, num_parameters
from tinker_local.errors import CheckpointError, NotFoundError, RequestError

Kind = Literal["weights", "sampler_weights"]
PARTIAL, REPLACED, DELETED = ".partial-", ".replaced-", ".deleted-"
"""How the names of folders begin that are being written, about to be replaced, about to go."""
ABANDONED_SECONDS = 3600.0
"""A folder half written for this long has lost its writer; younger ones may be another server's."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TARGET_MODULES = {
    "train_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "train_mlp": ("gate_proj", "up_proj", "down_proj"),
    "train_unembed": ("lm_head",),
}


class CheckpointInfo(BaseModel):
    """The contents of checkpoint.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    base_model: str
    rank: int
    train_attn: bool
    train_mlp: bool
    train_unembed: bool
    created: datetime
    expires: datetime | None = None
    has_optimizer: bool
    user_metadata: dict[str, str] | None = None
    digests: dict[str, str]

    @property
    def lora(self) -> LoraConfig:
        return LoraConfig(self.rank, self.train_attn, self.train_mlp, self.train_unembed)


@dataclass(frozen=True)
class CheckpointPath:
    """A parsed `tinker://<run>/<kind>/<name>`."""

    run: str
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"tinker://{self.run}/{self.kind}/{self.name}"


def parse_path(text: str) -> CheckpointPath:
    """Raises RequestError for anything but tinker://<run>/weights|sampler_weights/<name>."""
    match = re.fullmatch(r"tinker://([A-Za-z0-9:_-]+)/(weights|sampler_weights)/([^/]+)", text)
    if match is None:
        raise CheckpointError(
            f"{text!r} is not a checkpoint path; it looks like tinker://<run>/weights/<name>."
        )
    run, kind, name = match.groups()
    check_name(name)
    return CheckpointPath(run, "weights" if kind == "weights" else "sampler_weights", name)


def check_name(name: str) -> None:
    """Refuse names that could leave the store or confuse a file system."""
    if not NAME.fullmatch(name) or ".." in name:
        raise CheckpointError(
            f"{name[:60]!r} cannot name a checkpoint; use letters, digits, '.', '_' and '-', at most 128."
        )


class CheckpointStore:
    """The checkpoints under one folder."""

    def __init__(self, home: Path) -> None:
        self.runs = home / "runs"

    def folder(self, path: CheckpointPath) -> Path:
        # Colons of a run's name are escaped, since not every file system takes them.
        return self.runs / quote(path.run, safe="") / path.kind / path.name

    def save(
        self,
        path: CheckpointPath,
        base_model: str,
        adapter: Adapter,
        optimizer_state: Mapping[str, Tensor] | None,
        overwrite: bool,
        expires: datetime | None,
        user_metadata: dict[str, str] | None,
    ) -> CheckpointInfo:
        """Write a checkpoint. Raises CheckpointError where the name is taken or the disk refuses."""
        target = self.folder(path)
        try:
            taken = target.exists()
        except OSError as error:
            raise _refused(path, error) from error
        if taken and not overwrite:
            raise CheckpointError(f"{path} exists already; choose another name or pass overwrite=True.")
        config = adapter.config
        files = {
            "adapter_model.safetensors": save(_peft_tensors(adapter)),
            "adapter_config.json": json.dumps(_peft_config(base_model, config), indent=1).encode(),
        }
        if optimizer_state is not None:
            files["optimizer.safetensors"] = save(
                {k: v.cpu().contiguous() for k, v in optimizer_state.items()}
            )
        info = CheckpointInfo(
            path=str(path),
            base_model=base_model,
            rank=config.rank,
            train_attn=config.train_attn,
            train_mlp=config.train_mlp,
            train_unembed=config.train_unembed,
            created=datetime.now(UTC),
            expires=expires,
            has_optimizer=optimizer_state is not None,
            user_metadata=user_metadata,
            digests={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        )
        files["checkpoint.json"] = info.model_dump_json(indent=1).encode()
        try:
            _write_folder(target, files)
        except OSError as error:
            raise _refused(path, error) from error
        return info

    def info(self, path: CheckpointPath) -> CheckpointInfo:
        """Raises NotFoundError where there is no such checkpoint or it has expired."""
        file = self.folder(path) / "checkpoint.json"
        try:
            info = CheckpointInfo.model_validate_json(file.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no checkpoint {path} on this server; 'tinker-local list' shows those there are."
            ) from error
        except (ValidationError, OSError) as error:
            raise CheckpointError(
                f"{path} is damaged (checkpoint.json); use an earlier checkpoint."
            ) from error
        if info.expires is not None and info.expires < datetime.now(UTC):
            raise NotFoundError(f"{path} has expired; use another checkpoint.")
        return info

    def load(self, path: CheckpointPath, model: LlamaConfig) -> tuple[CheckpointInfo, Adapter]:
        """The adapter of a checkpoint, on the CPU; raises CheckpointError where a file is damaged."""
        info = self.info(path)
        tensors = self._read(path, info, "adapter_model.safetensors")
        adapter = Adapter(model, info.lora, torch.zeros(num_parameters(model, info.lora)))
        for name, pair in adapter.matrices.items():
            for key, matrix in zip(_peft_names(name), pair, strict=True):
                stored = tensors.get(key)
                if stored is None or stored.shape != matrix.shape:
                    raise CheckpointError(
                        f"{path} does not fit the base model at {name}; load it on its own base."
                    )
                matrix.copy_(stored)
        return info, adapter

    def load_optimizer(self, path: CheckpointPath) -> dict[str, Tensor]:
        """Adam's state; raises CheckpointError where the checkpoint was saved without it."""
        info = self.info(path)
        if not info.has_optimizer:
            raise CheckpointError(f"{path} holds no optimizer state; load it without the optimizer.")
        return self._read(path, info, "optimizer.safetensors")

    def list(self) -> Iterator[CheckpointInfo]:
        """Every whole checkpoint, run by run; what is half written or damaged is passed over."""
        for file in sorted(self.runs.glob("*/*/*/checkpoint.json")):
            name, kind, run = file.parent.name, file.parent.parent.name, unquote(file.parents[2].name)
            if name.startswith(".") or kind not in ("weights", "sampler_weights"):
                continue
            try:
                yield self.info(CheckpointPath(run, kind, name))
            except RequestError:
                continue

    def size(self, path: CheckpointPath) -> int:
        """Bytes of all its files; zero once it is gone."""
        return sum(file.stat().st_size for file in self.folder(path).glob("*"))

    def set_expiry(self, path: CheckpointPath, expires: datetime | None) -> None:
        """Change when a checkpoint expires; raises NotFoundError where there is none."""
        changed = self.info(path).model_copy(update={"expires": expires})
        target = self.folder(path) / "checkpoint.json"
        partial = target.with_name(f".partial-{uuid.uuid4().hex}")
        partial.write_bytes(changed.model_dump_json(indent=1).encode())
        os.replace(partial, target)

    def delete(self, path: CheckpointPath) -> None:
        """Remove a checkpoint; raises NotFoundError where there is none."""
        folder = self.folder(path)
        if not folder.exists():
            raise NotFoundError(f"There is no checkpoint {path} on this server.")
        # Renamed first, so that a crash midway leaves nothing that looks whole.
        doomed = folder.with_name(f"{DELETED}{uuid.uuid4().hex}")
        folder.rename(doomed)
        shutil.rmtree(doomed)

    def recover(self) -> None:
        """Clear up after servers that died: bring back what was being replaced, remove what is partial.

        For a server's start. Another server may be at work in the same folder, so only what has no
        writer any more is touched.
        """
        for folder in sorted(self.runs.glob("*/*/.*")):
            # Another server's start may be doing the same at this moment.
            with suppress(OSError):
                if folder.name.startswith(REPLACED):
                    target = folder.with_name(folder.name.removeprefix(REPLACED).rpartition(".")[0])
                    if target.exists():
                        shutil.rmtree(folder)
                    else:
                        folder.rename(target)
                elif (
                    folder.name.startswith((PARTIAL, DELETED))
                    and time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
                ):
                    shutil.rmtree(folder)

    def _read(self, path: CheckpointPath, info: CheckpointInfo, name: str) -> dict[str, Tensor]:
        file = self.folder(path) / name
        try:
            if hashlib.sha256(file.read_bytes()).hexdigest() != info.digests.get(name):
                raise CheckpointError(f"{path} is damaged ({name} has changed); use an earlier checkpoint.")
            return load_file(file)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} is damaged ({name} cannot be read); use an earlier checkpoint."
            ) from error


def _refused(path: CheckpointPath, error: OSError) -> CheckpointError:
    return CheckpointError(f"{path} could not be saved ({error.strerror}); free space or rights.")


def _peft_names(layer: str) -> tuple[str, str]:
    prefix = f"base_model.model.{layer}"
    return f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight"


def _peft_tensors(adapter: Adapter) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for layer, pair in adapter.matrices.items():
        for key, matrix in zip(_peft_names(layer), pair, strict=True):
            tensors[key] = matrix.detach().cpu().clone()
    return tensors


def _peft_config(base_model: str, config: LoraConfig) -> dict[str, Any]:
    modules = [name for flag, names in TARGET_MODULES.items() if getattr(config, flag) for name in names]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": modules,
    }


def _write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    made = _make_folders(target.parent)
    partial = target.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        partial.mkdir()
        for name, data in files.items():
            with open(partial / name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _flush_folder(partial)
        _put_in_place(partial, target)
    # Whatever went wrong, memory included, nothing half written stays.
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def _put_in_place(partial: Path, target: Path) -> None:
    """Rename, with what lay there before put aside until the new one is safe; see `recover`."""
    replaced = None
    if target.exists():
        replaced = target.with_name(f"{REPLACED}{target.name}.{uuid.uuid4().hex}")
        target.rename(replaced)
    try:
        partial.rename(target)
    except OSError:
        if replaced is not None:
            replaced.rename(target)
        raise
    _flush_folder(target.parent)
    if replaced is not None:
        # The save has succeeded; an old copy that will not go is no reason to say otherwise.
        shutil.rmtree(replaced, ignore_errors=True)


def _make_folders(folder: Path) -> list[Path]:
    """Create a folder and those above it, each flushed to the disk; returns the new ones."""
    missing = [folder, *folder.parents]
    missing = missing[: next(index for index, path in enumerate(missing) if path.exists())]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _flush_folder(path.parent)
    return missing[::-1]


def _flush_folder(folder: Path) -> None:
    # A rename is only on the disk once its folder is; systems without open folders do without.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
