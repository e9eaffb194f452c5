"""The low-rank terms of an adapter that was made elsewhere, each with the factor that it counts by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

UNEMBEDDING = "lm_head"
ALIASES: Mapping[str, str] = {"model.unembed_tokens": UNEMBEDDING, "unembed_tokens": UNEMBEDDING}
"""Tinker's own name of the unembedding."""


@dataclass(frozen=True)
class Term:
    """W + scale * B A of one layer: A [rank, in], B [out, rank], in the type in which they are stored."""

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
