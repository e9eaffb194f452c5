"""Products of a few rows with matrices in panels, equal to oneDNN's products of more rows to the last bit.

oneDNN sums each output up input by input in blocks of inputs, whose sums it adds one after another. How long
the blocks are depends on the matrix, and may depend on the version of the library. So it is found out, for
each shape, by multiplying some rows both ways; where no length gives the same bits, the panels are not used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import matmul
from tinker_local.engine.kernels.native.library import PanelsStructure, kernels
from tinker_local.engine.kernels.native.panels import (
    GROUP,
    Form,
    Panels,
    below_each_other,
    can_be_panels,
    compact_panels,
    float_panels,
)

MOST_ROWS = 64
"""Rows up to which panels that are smaller than float32 are the faster; from there on oneDNN is."""
MOST_FLOAT_ROWS = 16
"""The same for float32 panels."""
BLOCKS = (512, 1024, 256, 2048, 384, 768, 4096)
"""Inputs of a block, those seen first; all inputs as one block come before these."""
COMPARED_ROWS = (2, 16, 33)


class FewRows:
    """A matrix in panels, and of how many groups of inputs a block of its sums is."""

    def __init__(self, panels: Panels, block_groups: int) -> None:
        self.panels = panels
        self.block_groups = block_groups
        self.structure = PanelsStructure(
            panels.data.data_ptr(), panels.form, panels.outputs, panels.inputs // GROUP, block_groups
        )
        self.most_rows = MOST_FLOAT_ROWS if panels.form is Form.FLOAT32 else MOST_ROWS
        self.address = ctypes.addressof(self.structure)

    def __call__(self, x: Tensor) -> Tensor:
        """`x` float32 [rows, inputs], which may be columns of more, times the matrix: [rows, outputs]."""
        output = x.new_empty((x.shape[0], self.panels.outputs))
        self._into(output, x, add=False)
        return output

    def add_to(self, output: Tensor, x: Tensor) -> None:
        """Add the product to `output` [rows, outputs], which may be columns of more."""
        self._into(output, x, add=True)

    def _into(self, output: Tensor, x: Tensor, add: bool) -> None:
        into = (output, output.stride(0), add, len(x), torch.get_num_threads())
        kernels().few_rows(self.address, None, None, 0, x, x.stride(0), None, *into)


@dataclass(frozen=True)
class Matrix:
    """A matrix [outputs, inputs] that any number of rows can be multiplied with: each way the same bits."""

    many: Tensor
    """As `matmul` takes it."""
    few: FewRows | None

    def __call__(self, x: Tensor) -> Tensor:
        """`x` float32 [rows, inputs] times the matrix, [rows, outputs]."""
        if self.few is not None and x.shape[0] <= self.few.most_rows:
            return self.few(x)
        return matmul(x, self.many)


class FewRowsLowRank:
    """The adapters of layers that read one input: all A below each other, and a matrix B for each layer."""

    def __init__(self, a: Matrix, b: Sequence[Matrix]) -> None:
        """`a` [layers * width, inputs], with the scale in it; each of `b` [outputs_i, width]."""
        self._a = a
        self._b = tuple(b)
        few = [one.few for one in self._b if one.few is not None]
        self.takes_few = a.few is not None and len(few) == len(self._b)
        self.layers = len(self._b)
        self._b_structures = (PanelsStructure * len(few))(*(one.structure for one in few))

    @property
    def few(self) -> tuple[FewRows, int]:
        """All A for few rows, and the address of the structures of B, where `takes_few`."""
        assert self._a.few is not None, "whoever asks has seen that they are there"
        return self._a.few, ctypes.addressof(self._b_structures)

    def applied(self, base: Matrix, x: Tensor) -> Tensor:
        """`x` float32 [rows, inputs] times the base's matrix, and the adapters' terms: [rows, outputs]."""
        few = base.few
        if few is not None and self._a.few is not None and self.takes_few and x.shape[0] <= few.most_rows:
            return self._few(few, self._a.few, x)
        outputs = base(x)
        low = self._a(x)
        width = low.shape[1] // len(self._b)
        start = 0
        for number, b in enumerate(self._b):
            end = start + b.many.shape[0]
            mine, part = outputs[:, start:end], low[:, number * width : (number + 1) * width]
            if b.few is not None:
                # Whatever the number of rows: oneDNN would need a second pass to add its product.
                b.few.add_to(mine, part)
            else:
                mine.add_(matmul(part, b.many))
            start = end
        return outputs

    def _few(self, base: FewRows, a: FewRows, x: Tensor) -> Tensor:
        rows = x.shape[0]
        outputs = x.new_empty((rows, base.panels.outputs))
        low = x.new_empty((rows, a.panels.outputs))
        panels = (base.address, a.address, ctypes.addressof(self._b_structures), len(self._b))
        into = (outputs, outputs.stride(0), False, rows, torch.get_num_threads())
        kernels().few_rows(*panels, x, x.stride(0), low, *into)
        return outputs


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

    def adapter_matrix(self, plain: Tensor, many: Tensor) -> Matrix:
        """The same for a matrix of an adapter, whose numbers have no smaller form."""
        few = self._as_many(float_panels(plain), many) if can_be_panels(*plain.shape) else None
        return Matrix(many, few)

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
