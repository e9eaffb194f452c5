"""Attention of rows to the keys and values of their sequences, which stand in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinker_local.engine.kernels.native.library import Shape, kernels


@dataclass(frozen=True)
class PageReads:
    """Which pages each row reads: `tables` int32 of all sequences, where a row's starts, how many tokens."""

    tables: Tensor
    starts: Tensor
    lengths: Tensor
    longest: int

    @classmethod
    def of(cls, tables: Sequence[Sequence[int]], rows: Sequence[tuple[int, int]]) -> PageReads:
        """`rows` are (number of the table, tokens that are seen), for each row of the pass."""
        starts, start = list[int](), 0
        for table in tables:
            starts.append(start)
            start += len(table)
        lengths = [length for _, length in rows]
        return cls(
            torch.tensor([page for table in tables for page in table], dtype=torch.int32),
            torch.tensor([starts[number] for number, _ in rows], dtype=torch.int32),
            torch.tensor(lengths, dtype=torch.int32),
            max(lengths),
        )


@dataclass(frozen=True)
class PageWrites:
    """Which rows are written where: int64 row numbers, and slots, page * PAGE_TOKENS + offset."""

    sources: Tensor
    slots: Tensor


def rotate_and_write_(
    inputs: Tensor,
    shape: Shape,
    positions: Tensor,
    angles: tuple[Tensor, Tensor],
    writes: PageWrites,
    pages: tuple[Tensor, Tensor],
) -> None:
    """Rotate queries and keys of `inputs` float32 [rows, all heads * width] in place, and write to pages.

    `positions` int64 [rows]; `angles` are cosines and sines [positions, width]; `pages` the keys and values
    of a layer, laid out as attention.c says.
    """
    rotating = (shape, positions, *angles, len(inputs))
    kernels().rotate_rows(inputs, *rotating, torch.get_num_threads())
    kernels().write_rows(inputs, shape, writes.sources, writes.slots, len(writes.slots), *pages)


def attend(inputs: Tensor, shape: Shape, reads: PageReads, pages: tuple[Tensor, Tensor]) -> Tensor:
    """What each row gathers, float32 [rows, heads * width], by its rotated queries in `inputs`."""
    output = inputs.new_empty((inputs.shape[0], shape.heads * shape.width))
    places = (*pages, reads.tables, reads.starts, reads.lengths, reads.longest)
    kernels().attend(inputs, shape, *places, output, len(inputs), torch.get_num_threads())
    return output
