"""Products of a few rows with matrices in panels, equal to oneDNN's products of more rows to the last bit.

oneDNN sums each output up input by input in blocks of inputs, whose sums it adds one after another. How long
the blocks are depends on the matrix, and may depend on the version of the library. So it is found out, for
each shape, by multiplying some rows both ways; where no length gives the same bits, the panels are not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import matmul
from tinker_local.engine.kernels.native.library import library
from tinker_local.engine.kernels.native.panels import (
    GROUP,
    Panels,
    below_each_other,
    can_be_panels,
    compact_panels,
    float_panels,
)

MOST_ROWS = 16
"""Rows up to which panels are the faster; from there on the processor has more to do than to wait."""
BLOCKS = (512, 1024, 256, 2048, 384, 768, 4096)
"""Inputs of a block, those seen first; all inputs as one block come before these."""
COMPARED_ROWS = (2, 16, 33)


@dataclass(frozen=True)
class FewRows:
    """A matrix in panels, and of how many groups of inputs a block of its sums is."""

    panels: Panels
    block_groups: int

    def __call__(self, x: Tensor, output: Tensor | None = None) -> Tensor:
        """`x` float32 [rows, inputs] times the matrix, [rows, outputs]; or that added to `output`.

        Rows of both may be parts of longer ones.
        """
        add = output is not None
        if output is None:
            output = x.new_empty((len(x), self.panels.outputs))
        kernels = library()
        assert kernels is not None, "panels are made where the kernels are there"
        kernels.few_rows(
            x.data_ptr(),
            x.stride(0),
            self.panels.data.data_ptr(),
            self.panels.form,
            self.panels.outputs,
            self.panels.inputs // GROUP,
            self.block_groups,
            output.data_ptr(),
            output.stride(0),
            add,
            len(x),
            torch.get_num_threads(),
        )
        return output


@dataclass(frozen=True)
class Matrix:
    """A matrix [outputs, inputs] that any number of rows can be multiplied with: each way the same bits."""

    many: Tensor
    """As `matmul` takes it."""
    few: FewRows | None

    def __call__(self, x: Tensor) -> Tensor:
        """`x` float32 [rows, inputs] times the matrix, [rows, outputs]."""
        if self.few is not None and len(x) <= MOST_ROWS:
            return self.few(x)
        return matmul(x, self.many)

    def add_to(self, output: Tensor, x: Tensor) -> None:
        """Add the product to `output` [rows, outputs], which may be columns of more."""
        if self.few is not None and len(x) <= MOST_ROWS:
            self.few(x, output)
        else:
            output.add_(matmul(x, self.many))


class BlockLengths:
    """Makes matrices, and remembers how long the blocks of each shape are, which is found out once."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int, bool], int | None] = {}

    def matrix(self, parts: Sequence[Tensor], many: Tensor, only_compact: bool) -> Matrix:
        """Matrices of one input, float32 [outputs_i, inputs], below each other as one.

        `many` is that one as `matmul` takes it. `only_compact`: panels are made only of numbers that have a
        smaller form than float32, as is right for a model that does not stay in the caches.
        """
        if not all(can_be_panels(*part.shape) for part in parts):
            return Matrix(many, None)
        made: list[Panels] = []
        for part in parts:
            panels = compact_panels(part) or (None if only_compact else float_panels(part))
            if panels is None:
                return Matrix(many, None)
            made.append(panels)
        joined = below_each_other(made)
        return Matrix(many, None if joined is None else self._as_many(joined, many))

    def adapter_matrix(self, plain: Tensor) -> Matrix:
        """The same for a matrix of an adapter, whose numbers have no smaller form."""
        few = self._as_many(float_panels(plain), plain) if can_be_panels(*plain.shape) else None
        return Matrix(plain, few)

    def _as_many(self, panels: Panels, many: Tensor) -> FewRows | None:
        key = (panels.outputs, panels.inputs, many.is_mkldnn)
        if key not in self._found:
            self._found[key] = _compared(panels, many)
        block_groups = self._found[key]
        return None if block_groups is None else FewRows(panels, block_groups)


def _compared(panels: Panels, many: Tensor) -> int | None:
    """Groups of a block with which some rows come out as the library's; None where no number does it."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn((rows, panels.inputs), generator=generator) for rows in COMPARED_ROWS]
    expected = [matmul(x, many) for x in inputs]
    for block in (panels.inputs, *BLOCKS):
        if block <= panels.inputs and block % GROUP == 0:
            few = FewRows(panels, block // GROUP)
            if all(torch.equal(few(x), right) for x, right in zip(inputs, expected, strict=True)):
                return few.block_groups
    return None
