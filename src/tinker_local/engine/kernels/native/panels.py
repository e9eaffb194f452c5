"""Weights laid out for few_rows.c, in the smallest form from which every number comes back to the last bit.

What people have on disk was often rounded before: to bfloat16, or to a few bits with a scale for every 32
numbers, as in GGUF's Q8_0, Q4_1 and Q4_0. Widened to float32 these take two to six times the memory that they
need, and a step of a few rows takes as long as its weights take to come. Which form a matrix has is seen from
its numbers, so nobody has to say where they come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

LANES = 16
"""Outputs of a panel."""
GROUP = 32
"""Inputs that share a scale."""


class Form(IntEnum):
    """`enum form` of few_rows.c."""

    FLOAT32 = 0
    BFLOAT16 = 1
    SYMMETRIC8 = 2
    """A scale for each group, and of each weight how many times: -127 to 127."""
    AFFINE4 = 3
    """A scale and an offset for each group, and of each weight how many times: 0 to 15."""


@dataclass(frozen=True)
class Panels:
    """A matrix [outputs, inputs] in panels: bytes uint8, and what their numbers mean."""

    data: Tensor
    form: Form
    outputs: int
    inputs: int


def can_be_panels(outputs: int, inputs: int) -> bool:
    """Whether a matrix of this shape can be laid out so."""
    return outputs % LANES == 0 and inputs % GROUP == 0


def float_panels(weight: Tensor) -> Panels:
    """A float32 matrix [outputs, inputs] as it is; `can_be_panels` says of which shapes that can be made."""
    return Panels(_as_bytes(_in_panels(weight)).flatten(), Form.FLOAT32, *weight.shape)


def compact_panels(weight: Tensor) -> Panels | None:
    """A float32 matrix in a smaller form that gives back its very numbers; None where there is none."""
    if not can_be_panels(*weight.shape):
        return None
    for try_form in (_affine4, _symmetric8, _bfloat16):
        # The first rows tell of most matrices that they are not of this form.
        pieces = try_form(weight) if try_form(weight[:LANES]) is not None else None
        if pieces is not None:
            form, parts = pieces
            panels, groups = weight.shape[0] // LANES, weight.shape[1] // GROUP
            joined = torch.cat([_as_bytes(part).view(panels, groups, -1) for part in parts], dim=-1)
            return Panels(joined.flatten(), form, *weight.shape)
    return None


def below_each_other(parts: Sequence[Panels]) -> Panels | None:
    """Matrices of one input as one; None where their forms differ."""
    first = parts[0]
    if any(part.form is not first.form for part in parts):
        return None
    outputs = sum(part.outputs for part in parts)
    return Panels(torch.cat([part.data for part in parts]), first.form, outputs, first.inputs)


_Pieces = tuple[Form, list[Tensor]]


def _bfloat16(weight: Tensor) -> _Pieces | None:
    rounded = weight.bfloat16()
    return (Form.BFLOAT16, [_in_panels(rounded)]) if torch.equal(rounded.float(), weight) else None


def _symmetric8(weight: Tensor) -> _Pieces | None:
    blocks = weight.view(len(weight), -1, GROUP)
    # The greatest of a group stands at 127, and 127 times a scale of half precision has no rounding.
    scale = blocks.abs().amax(dim=-1) / 127
    times = (blocks / scale[..., None]).round_().nan_to_num_(0).clamp_(-127, 127)
    if not torch.equal(times * scale[..., None], blocks):
        return None
    return Form.SYMMETRIC8, [_by_panel(scale), _in_panels(times.to(torch.int8).view_as(weight))]


def _affine4(weight: Tensor) -> _Pieces | None:
    blocks = weight.view(len(weight), -1, GROUP)
    scale, least = torch.zeros(blocks.shape[:2]), torch.zeros(blocks.shape[:2])
    times = torch.zeros(blocks.shape, dtype=torch.uint8)
    left = torch.ones(blocks.shape[:2], dtype=torch.bool)
    for mine_scale, mine_least in _affine_guesses(blocks):
        found = (
            (blocks - mine_least[..., None]).div_(mine_scale[..., None]).round_().nan_to_num_(0).clamp_(0, 15)
        )
        right = (found * mine_scale[..., None] + mine_least[..., None] == blocks).all(dim=-1) & left
        scale[right], least[right], times[right] = mine_scale[right], mine_least[right], found[right].byte()
        left &= ~right
        if not left.any():
            split = _in_panels(times.view_as(weight))
            pairs = split[:, :, 0::2] | (split[:, :, 1::2] << 4)
            return Form.AFFINE4, [_by_panel(scale), _by_panel(least), pairs.contiguous()]
        if left.float().mean() > 0.5:
            return None  # no such matrix
    return None


def _affine_guesses(blocks: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Scales and offsets that groups may have been rounded with."""
    low, high = blocks.amin(dim=-1), blocks.amax(dim=-1)
    # Q4_1: the least and the greatest are kept, and what lies between is in fifteen steps of half precision.
    yield ((high - low) / 15).half().float(), low
    # Q4_0: the one farthest from zero stands at 0, and zero at 8.
    far = torch.where(high.abs() > low.abs(), high, low)
    yield far / -8, far


def _in_panels(matrix: Tensor) -> Tensor:
    """[outputs, inputs] as [panels, groups, GROUP, LANES]."""
    outputs, inputs = matrix.shape
    split = matrix.view(outputs // LANES, LANES, inputs // GROUP, GROUP)
    return split.permute(0, 2, 3, 1).contiguous()


def _by_panel(of_groups: Tensor) -> Tensor:
    """[outputs, groups] as [panels, groups, LANES]."""
    return of_groups.view(-1, LANES, of_groups.shape[1]).transpose(1, 2).contiguous()


def _as_bytes(x: Tensor) -> Tensor:
    return x.contiguous().view(torch.uint8)
