"""What a step computes with: a model with at most one adapter, whichever way it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tinker_local.engine.kv_cache.paged_attention import (
    PagedAttention,
    Segment,
    paged_hidden,
    row_unit,
    step_rows,
)
from tinker_local.engine.kv_cache.pages import KeyValuePages
from tinker_local.engine.model.llama import Llama, LlamaConfig, Projection

Write = tuple[int, int, int]
"""(row of the pass, page, offset in it) of a key and value that are kept."""


@dataclass(frozen=True)
class Pass:
    """Rows that go through the model at once: their tokens, positions, sequences, and where they are kept."""

    tokens: Sequence[int]
    positions: Sequence[int]
    segments: Sequence[Segment]
    writes: Sequence[Write]
    pages: KeyValuePages


class Network(Protocol):
    """What a step needs of a model: no row of it may depend on the rows beside it, to the last bit."""

    @property
    def config(self) -> LlamaConfig:
        """The model's shape."""
        ...

    @property
    def num_parameters(self) -> int:
        """How many numbers the model has, without the adapter."""
        ...

    def hidden(self, rows: Pass) -> Tensor:
        """Final normalised states [rows or more, hidden]; keys and values are written to their pages."""
        ...

    def logits(self, states: Tensor) -> Tensor:
        """Scores float32 [n, vocab_size] after states [n, hidden]."""
        ...


def filled_up(states: Tensor, num_rows: int) -> Tensor:
    """States [n, hidden], with the first again up to so many rows."""
    missing = num_rows - len(states)
    return torch.cat([states, states[:1].expand(missing, -1)]) if missing else states


@dataclass(frozen=True)
class TorchNetwork:
    """A model and how it computes a linear layer, operation by operation."""

    model: Llama
    project: Projection

    @property
    def config(self) -> LlamaConfig:
        """As in `Network`."""
        return self.model.config

    @property
    def num_parameters(self) -> int:
        """As in `Network`."""
        return self.model.num_parameters

    def hidden(self, rows: Pass) -> Tensor:
        """As in `Network`."""
        missing = self._filled(len(rows.tokens)) - len(rows.tokens)
        tokens, positions = [*rows.tokens, *[0] * missing], [*rows.positions, *[0] * missing]
        config = self.model.config
        attend = PagedAttention(rows.pages, config, len(tokens), rows.segments, rows.writes)
        return paged_hidden(self.model, self.project, tokens, positions, attend)

    def logits(self, states: Tensor) -> Tensor:
        """As in `Network`."""
        filled = filled_up(states, self._filled(len(states)))
        return self.model.logits(filled, self.project)[: len(states)]

    def _filled(self, num_rows: int) -> int:
        return step_rows(num_rows, row_unit(self.model))
