"""What is exported: a checkpoint's adapter with its base model, and the two as one set of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from base_models import BaseModelError, is_bundled, resolve
from tinker_local.engine.model.llama import weight_shapes
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.model.merging import folded_weight
from tinker_local.errors import ExportError
from tinker_local.loading import BaseModel, load_base_model
from tinker_local.loading.gguf.paths import find_gguf
from tinker_local.loading.safetensors_headers import EMBEDDING, UNEMBEDDING
from tinker_local.service.checkpoints import CheckpointInfo, CheckpointStore, parse_path


@dataclass(frozen=True)
class Source:
    """A checkpoint and its base, both in float32 on the CPU."""

    info: CheckpointInfo
    base: BaseModel
    adapter: Adapter
    gguf: Path | None
    """The GGUF file that the base was converted from, the first part of a split one; None for a folder."""

    @property
    def head_is_adapted(self) -> bool:
        """Whether the adapter changes how tokens are scored."""
        return "lm_head" in self.adapter.matrices

    @property
    def is_tied(self) -> bool:
        """Whether the base scores tokens with the matrix that it reads them with."""
        return self.base.model.config.tie_word_embeddings

    @property
    def needs_own_head(self) -> bool:
        """Whether the two have to part: an adapted unembedding is no embedding any more."""
        return self.head_is_adapted and self.is_tied

    @property
    def base_is_only_here(self) -> bool:
        """Whether no other program can get exactly these base weights by the base's name."""
        return self.gguf is not None or is_bundled(self.base.folder)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the merged model by Hugging Face's name, with its shape."""
        shapes = weight_shapes(self.base.model.config)
        return {**shapes, UNEMBEDDING: shapes[EMBEDDING]} if self.needs_own_head else shapes

    def merged(self, name: str) -> Tensor:
        """One tensor of the merged model, float32: W + alpha / rank * B A, or W where nothing is added."""
        layer = name.removesuffix(".weight")
        if layer not in self.adapter.matrices:
            return self.plain(name)
        return folded_weight(self.base.model, self.adapter, layer)

    def plain(self, name: str) -> Tensor:
        """One tensor of the base; an unembedding that it lacks is its embedding."""
        weights = self.base.model.weights
        return weights[EMBEDDING] if name == UNEMBEDDING and name not in weights else weights[name]


def open_source(
    text: str, home: Path, adapters: Sequence[Path], tell: Callable[[str], None] = lambda _: None
) -> Source:
    """The checkpoint of a `tinker://` path with its base.

    Raises NotFoundError or CheckpointError for the checkpoint, StartupError for the base.
    """
    path = parse_path(text)
    store = CheckpointStore(home, adapters)
    info = store.info(path)
    tell(f"loading {info.base_model}")
    base = load_base_model(info.base_model, "float32", torch.device("cpu"), tell)
    _, adapter = store.load(path, base.model.config)
    try:
        found = find_gguf(resolve(info.base_model).path)
    except BaseModelError as error:
        raise ExportError(str(error)) from error
    return Source(info, base, adapter, found)
