"""The machine: its own matrix rate, measured by a worker, and what it is."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.pipe import Prepared, Settings, serve

SIDE = 2048
"""Square matrices of this size are large enough for the best rate, and small enough to take moments."""
FLOPS = 2 * SIDE**3
TIMES = 3


def describe() -> dict[str, Any]:
    """What figures were measured on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def _processor() -> str:
    """The name is not enough: a virtual machine's may be a whole family's, so what it can do is told too."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line]
    fields = {name.strip(): value.strip() for name, value in reversed(lines)}
    flags = set(fields.get("flags", "").split())
    found = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    name = fields.get("model name", platform.machine())
    family = f", family {fields['cpu family']}, model {fields['model']}" if "cpu family" in fields else ""
    return f"{name}{family} ({', '.join(found) or 'without AVX-512'})"


def prepare(_: Settings) -> Prepared:
    """Seconds of one product of two square matrices in each type, by the fastest library that torch has."""
    import torch
    from torch.nn.functional import linear

    def product_in(dtype: torch.dtype) -> Callable[[], float]:
        a, b = (torch.randn(SIDE, SIDE, dtype=dtype) for _ in range(2))
        ways: list[Callable[[], object]] = [lambda: linear(a, b)]
        one_dnn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
        if one_dnn is not None and torch.backends.mkldnn.is_available():
            # What torch gives to MKL in float32, which is slower than oneDNN on AMD's processors.
            ways.append(lambda: one_dnn(a, b, None, "none", [], ""))

        def best() -> float:
            with torch.inference_mode():
                return min(_mean_seconds(way) for way in ways)

        return best

    facts = {"threads": torch.get_num_threads(), "versions": {"torch": version("torch")}}
    return Prepared({name: product_in(getattr(torch, name)) for name in ("float32", "bfloat16")}, facts)


def _mean_seconds(action: Callable[[], object]) -> float:
    action()
    started = time.perf_counter()
    for _ in range(TIMES):
        action()
    return (time.perf_counter() - started) / TIMES


if __name__ == "__main__":
    serve(prepare)
