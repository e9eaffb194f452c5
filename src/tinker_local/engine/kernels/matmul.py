"""Matrix multiplication with a weight, [..., in] x [out, in] -> [..., out], by whichever library is fastest.

torch multiplies float32 matrices with MKL, which on processors that are not Intel's leaves out their widest
instructions: on an AMD EPYC of 2024 oneDNN, which torch brings along too, needs half the time. For a single
row the two are equal, and MKL begins sooner. Where there are several rows, each comes out the same
whatever the others are and however many; `kv_cache/paged_attention.py` relies on this.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

WORTH_PREPARING = 2
"""Rows from which on oneDNN is faster than MKL, measured at widths of 256 and 576: by 1.1 to 1.5 times."""


def cpu_flags() -> frozenset[str]:
    """What the processor says it can do, and its vendor; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    wanted = ("flags", "vendor_id")
    # All cores are alike, so the first of each line tells enough.
    found = [next((line for line in lines if line.startswith(name)), "") for name in wanted]
    return frozenset(word for line in found for word in line.split())


def _prefers_onednn() -> bool:
    flags = cpu_flags()
    suited = "AuthenticAMD" in flags and "avx512f" in flags and platform.machine() == "x86_64"
    return suited and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_PREFERS_ONEDNN = _prefers_onednn()

ALIKE_ROWS = 2 if _PREFERS_ONEDNN else 8
"""From so many rows on, and in multiples of it, all rows of a float32 product are computed alike: oneDNN
takes another way for one, MKL for one to seven. In bfloat16, where all is oneDNN's, two are enough."""


def rounded_up(count: int, multiple: int) -> int:
    """The least multiple that is no smaller: products of few different sizes are prepared less often."""
    return -(-count // multiple) * multiple


def can_pack() -> bool:
    """Whether weights may be laid out for oneDNN beforehand, and are the faster for it."""
    return _PREFERS_ONEDNN and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def matmul(x: Tensor, weight: Tensor) -> Tensor:
    """`x` times the transposed weight; no gradient passes through it (see `linear`)."""
    if weight.is_mkldnn or (
        _PREFERS_ONEDNN
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() >= WORTH_PREPARING * x.shape[-1]
    ):
        # What torch's own compiler calls; its eager mode offers oneDNN only for other types.
        return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return F.linear(x, weight)


def matmul_into(output: Tensor, x: Tensor, weight: Tensor) -> None:
    """Write `x` [rows, in] times the transposed weight to `output` [rows, out]; no gradient passes."""
    if x.dtype == torch.float32 and x.device.type == "cpu":
        output.copy_(matmul(x, weight))
    else:
        torch.mm(x, weight.t(), out=output)


def add_matmul(output: Tensor, x: Tensor, weight: Tensor) -> None:
    """Add `x` [rows, in] times the transposed weight to `output` [rows, out]; no gradient passes."""
    if x.dtype == torch.float32 and x.device.type == "cpu":
        output.add_(matmul(x, weight))
    else:
        output.addmm_(x, weight.t())


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """`x` times the transposed weight, as torch does it with gradients where they are asked for."""
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return F.linear(x, weight)
    return matmul(x, weight)
