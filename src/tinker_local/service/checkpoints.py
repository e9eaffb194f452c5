"""Checkpoints on disk: adapters in PEFT's layout, written whole or not at all.

    <home>/runs/<run>/weights/<name>/          adapter, optimizer state, checkpoint.json
    <home>/runs/<run>/sampler_weights/<name>/  adapter, checkpoint.json
    <home>/runs/<run>/external_weights/<name>/ the same, to be downloaded

A checkpoint is written to a temporary name, flushed to the disk and renamed, so a crash leaves either
the whole of it or nothing that is listed. `checkpoint.json` holds a digest of every file.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from tinker_local.engine.model.llama import LlamaConfig
from tinker_local.engine.model.lora import Adapter, LoraConfig, num_parameters
from tinker_local.errors import CheckpointError, NotFoundError, RequestError
from tinker_local.service.checkpoint_files.folders import (
    recover_folders,
    remove_folder,
    replace_file,
    write_folder,
)
from tinker_local.service.checkpoint_files.peft_layout import (
    SCALE,
    in_eight_bits,
    peft_config,
    peft_names,
    peft_tensors,
    stored_matrix,
)

Kind = Literal["weights", "sampler_weights", "external_weights"]
KINDS: tuple[Kind, ...] = ("weights", "sampler_weights", "external_weights")
PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""What of a checkpoint other programs read."""
RUN = re.compile(r"[A-Za-z0-9:_-]+")
MOST_LETTERS = 128
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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
    def has_expired(self) -> bool:
        """Whether its time to live is over by now; never without `expires`."""
        return self.expires is not None and self.expires < datetime.now(UTC)

    @property
    def lora(self) -> LoraConfig:
        """The layers and the rank of its adapter; its alpha is the same for all."""
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
    """The parts of tinker://<run>/<kind>/<name>; raises CheckpointError for anything else."""
    match = re.fullmatch(rf"tinker://({RUN.pattern})/([^/]+)/([^/]+)", text)
    kinds: Mapping[str, Kind] = {kind: kind for kind in KINDS}
    found = None if match is None else kinds.get(match[2])
    if match is None or found is None:
        raise CheckpointError(
            f"{text!r} is not a checkpoint path; it looks like tinker://<run>/weights/<name>."
        )
    check_name(match[3])
    return CheckpointPath(match[1], found, match[3])


def check_name(name: str) -> None:
    """Refuse names that could leave the store or confuse a file system."""
    if not NAME.fullmatch(name) or ".." in name:
        raise CheckpointError(
            f"{name[:60]!r} cannot name a checkpoint; use letters, digits, '.', '_' and '-', at most 128."
        )


def check_run_name(name: str) -> None:
    """Refuse what cannot name the run of a checkpoint path."""
    if not RUN.fullmatch(name) or len(name) > MOST_LETTERS:
        raise CheckpointError(
            f"{name[:60]!r} cannot name a run; use letters, digits, '_' and '-', at most {MOST_LETTERS}."
        )


class CheckpointStore:
    """The checkpoints under one folder. Its methods may be called from any thread.

    A checkpoint whose time is over is removed by whatever comes upon it first, and its name is free.
    """

    def __init__(self, home: Path, shipped: Sequence[Path] = (), exports: Path | None = None) -> None:
        """`shipped` are folders laid out as `<home>/runs`; what is in them can be loaded, and no more.

        `exports` is the one folder outside of `home` that is written to, for other programs to read.
        """
        self.runs = home / "runs"
        self._exports = exports
        self._shipped = tuple(shipped)
        # What was read of each checkpoint.json, with the stamp of the file that it was read from.
        self._known: dict[Path, tuple[tuple[int, ...], CheckpointInfo]] = {}
        self._removal = threading.Lock()

    def folder(self, path: CheckpointPath) -> Path:
        """Where it lies, or would: also of one that is not there, and never among the shipped."""
        return self._folder_of_run(path.run) / path.kind / path.name

    def _found(self, path: CheckpointPath) -> Path:
        """Where the checkpoint lies: here, or else among those that were shipped."""
        own = self.folder(path)
        if not own.exists():
            for folder in self._shipped:
                shipped = folder / quote(path.run, safe="") / path.kind / path.name
                if shipped.exists():
                    return shipped
        return own

    def _folder_of_run(self, run: str) -> Path:
        # Colons of a run's name are escaped, since not every file system takes them.
        return self.runs / quote(run, safe="")

    def save(
        self,
        path: CheckpointPath,
        base_model: str,
        adapter: Adapter,
        optimizer_state: Mapping[str, Tensor] | None = None,
        overwrite: bool = False,
        expires: datetime | None = None,
        user_metadata: dict[str, str] | None = None,
        eight_bits: bool = False,
    ) -> CheckpointInfo:
        """Write a checkpoint. Raises CheckpointError where the name is taken or the disk refuses.

        With `eight_bits` the adapter takes a quarter of the bytes, rounded; for one that is to ship.
        """
        target = self.folder(path)
        with _to_be(path, "saved"):
            if target.exists():
                self._remove_if_expired(path)
            taken = target.exists()
        if taken and not overwrite:
            raise CheckpointError(f"{path} exists already; choose another name or pass overwrite=True.")
        config = adapter.config
        tensors = peft_tensors(adapter)
        files = {
            "adapter_model.safetensors": save(in_eight_bits(tensors) if eight_bits else tensors),
            "adapter_config.json": json.dumps(peft_config(base_model, config), indent=1).encode(),
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
        with _to_be(path, "saved"):
            write_folder(target, files)
        return info

    def info(self, path: CheckpointPath) -> CheckpointInfo:
        """Raises NotFoundError where there is no such checkpoint or it has expired."""
        info = self._read_info(path)
        if info.has_expired:
            self._remove_if_expired(path)
            raise NotFoundError(f"{path} has expired; use another checkpoint.")
        return info

    def _read_info(self, path: CheckpointPath) -> CheckpointInfo:
        file = self._found(path) / "checkpoint.json"
        try:
            status = file.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._known.get(file)
            if known is not None and known[0] == stamp:
                return known[1]
            info = CheckpointInfo.model_validate_json(file.read_bytes())
        except FileNotFoundError as error:
            self._known.pop(file, None)
            raise NotFoundError(
                f"There is no checkpoint {path} on this server; 'tinker-local list' shows those there are."
            ) from error
        except (ValidationError, OSError) as error:
            raise CheckpointError(
                f"{path} is damaged (checkpoint.json); use an earlier checkpoint."
            ) from error
        self._known[file] = (stamp, info)
        return info

    def _remove_if_expired(self, path: CheckpointPath) -> None:
        # Looked at again under the lock: another thread may have saved anew under this name meanwhile. A
        # damaged one is left for its owner to see, and one that will not go is still expired.
        with self._removal, suppress(RequestError, OSError):
            if self._read_info(path).has_expired:
                self._remove(path)

    def _remove(self, path: CheckpointPath) -> None:
        folder = self.folder(path)
        remove_folder(folder)
        self._known.pop(folder / "checkpoint.json", None)

    def load(self, path: CheckpointPath, model: LlamaConfig) -> tuple[CheckpointInfo, Adapter]:
        """The adapter of a checkpoint, on the CPU; raises CheckpointError where a file is damaged."""
        info = self.info(path)
        tensors = self._read(path, info, "adapter_model.safetensors")
        # Copied by numpy, since torch would start threads for it, also in a thread that must not
        # compute (see engine/worker.py).
        flat = torch.from_numpy(np.zeros(num_parameters(model, info.lora), dtype=np.float32))
        adapter = Adapter(model, info.lora, flat)
        for name, pair in adapter.matrices.items():
            for key, matrix in zip(peft_names(name), pair, strict=True):
                stored = stored_matrix(tensors, key)
                if stored is None or stored.shape != matrix.shape:
                    raise CheckpointError(
                        f"{path} does not fit the base model at {name}; load it on its own base."
                    )
                matrix.numpy()[...] = stored
        return info, adapter

    def load_optimizer(self, path: CheckpointPath) -> dict[str, Tensor]:
        """The optimizer's state; raises CheckpointError where the checkpoint was saved without it."""
        info = self.info(path)
        if not info.has_optimizer:
            raise CheckpointError(f"{path} holds no optimizer state; load it without the optimizer.")
        return self._read(path, info, "optimizer.safetensors")

    def list(self, run: str | None = None) -> Iterator[CheckpointInfo]:
        """Every whole checkpoint of a run, or of all; what is half written or damaged is passed over."""
        if run is not None and not RUN.fullmatch(run):
            return
        top = self.runs if run is None else self._folder_of_run(run)
        for file in sorted(top.glob("*/*/*/checkpoint.json" if run is None else "*/*/checkpoint.json")):
            name, kind, owner = file.parent.name, file.parent.parent.name, unquote(file.parents[2].name)
            if name.startswith(".") or kind not in KINDS:
                continue
            try:
                yield self.info(CheckpointPath(owner, kind, name))
            except RequestError:
                continue

    def size(self, path: CheckpointPath) -> int:
        """Bytes of all its files; zero once it is gone."""
        return sum(file.stat().st_size for file in self._found(path).glob("*"))

    def set_expiry(self, path: CheckpointPath, expires: datetime | None) -> None:
        """Change when a checkpoint expires; raises NotFoundError where there is none."""
        changed = self.info(path).model_copy(update={"expires": expires})
        with _to_be(path, "changed"):
            replace_file(self.folder(path) / "checkpoint.json", changed.model_dump_json(indent=1).encode())

    def delete(self, path: CheckpointPath) -> None:
        """Remove a checkpoint, a damaged one too; raises NotFoundError where there is none."""
        self._remove_if_expired(path)
        with _to_be(path, "deleted"):
            try:
                self._remove(path)
            except FileNotFoundError as error:
                raise NotFoundError(f"There is no checkpoint {path} on this server.") from error

    def recover(self) -> None:
        """Clear up after servers that died, and remove what has expired; for a server's start."""
        recover_folders(sorted(self.runs.glob("*/*/.*")))
        for _ in self.list():
            pass

    def peft_files(self, path: CheckpointPath) -> dict[str, Path]:
        """The files that other programs read, by name; raises CheckpointError where one is damaged.

        So where they could not read it, as it is kept in eight bits.
        """
        info = self.info(path)
        config, weights = PEFT_FILES
        self._content(path, info, config)
        if any(name.endswith(SCALE) for name in self._read(path, info, weights)):
            raise CheckpointError(
                f"{path} is kept in eight bits, which PEFT does not read; 'tinker-local export {path} --to "
                "peft' writes it as PEFT does."
            )
        return {name: self._found(path) / name for name in PEFT_FILES}

    def check_export(self, name: str) -> None:
        """Raise CheckpointError where the folder of exports has something of this name already."""
        if self._exports is not None and (self._exports / name).exists():
            raise CheckpointError(f"{self._exports / name} exists already; choose another name.")

    def export(self, path: CheckpointPath) -> None:
        """Copy an adapter into the folder of exports, where there is one, as a folder of its own name."""
        if self._exports is None:
            return
        self.check_export(path.name)
        contents = {name: file.read_bytes() for name, file in self.peft_files(path).items()}
        with _to_be(path, "exported"):
            write_folder(self._exports / path.name, contents)

    def _read(self, path: CheckpointPath, info: CheckpointInfo, name: str) -> dict[str, Tensor]:
        try:
            return load(self._content(path, info, name))
        except SafetensorError as error:
            raise _unreadable(path, name) from error

    def _content(self, path: CheckpointPath, info: CheckpointInfo, name: str) -> bytes:
        try:
            content = (self._found(path) / name).read_bytes()
        except OSError as error:
            raise _unreadable(path, name) from error
        if hashlib.sha256(content).hexdigest() != info.digests.get(name):
            raise CheckpointError(f"{path} is damaged ({name} has changed); use an earlier checkpoint.")
        return content


def _unreadable(path: CheckpointPath, name: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged ({name} cannot be read); use an earlier checkpoint.")


@contextmanager
def _to_be(path: CheckpointPath, what: str) -> Generator[None, None, None]:
    """Tell in a sentence what the disk refuses of a checkpoint that is to be saved, changed, and so on."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be {what} ({error.strerror}); free space or rights."
        ) from error
