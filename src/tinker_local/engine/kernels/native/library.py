"""The compiled kernels: made once by the machine's C compiler, kept in the user's cache, loaded by ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs
import torch

from tinker_local.engine.kernels.matmul import can_pack, cpu_flags

SOURCES = ("few_rows.c", "pointwise.c", "attention.c", "training.c", "training_attention.c", "low_rank.c")
HEADER = "native.h"
COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast", "-fPIC", "-std=gnu11")
NEEDED = {"avx512bw", "avx512_bf16"}
SECONDS = 120
"""A compiler that takes longer is not waited for; it takes two."""
SWITCH = "TINKER_LOCAL_NATIVE"
"""Set to 0, this variable leaves the kernels out."""


MOST_LAYERS = 3
"""Layers that read one input."""


class Shape(ctypes.Structure):
    """`struct shape` of attention.c and training_attention.c."""

    _fields_ = [("heads", ctypes.c_long), ("kv_heads", ctypes.c_long), ("width", ctypes.c_long)]


class LowRankStructure(ctypes.Structure):
    """`struct low_rank` of low_rank.c."""

    _fields_ = [
        ("layers", ctypes.c_long),
        ("rank", ctypes.c_long),
        ("padded", ctypes.c_long),
        ("inputs", ctypes.c_long),
        ("scale", ctypes.c_float),
        ("a_columns", ctypes.c_void_p),
        ("a_rows", ctypes.c_void_p),
        ("b_columns", ctypes.c_void_p * MOST_LAYERS),
        ("b_rows", ctypes.c_void_p * MOST_LAYERS),
        ("outputs", ctypes.c_long * MOST_LAYERS),
        ("a_gradients", ctypes.c_void_p * MOST_LAYERS),
        ("b_gradients", ctypes.c_void_p * MOST_LAYERS),
    ]


class PanelsStructure(ctypes.Structure):
    """`struct panels` of few_rows.c."""

    _fields_ = [
        ("weights", ctypes.c_void_p),
        ("form", ctypes.c_long),
        ("outputs", ctypes.c_long),
        ("groups", ctypes.c_long),
        ("block_groups", ctypes.c_long),
    ]


_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
_ARGUMENTS = {
    "few_rows": (
        *(_POINTER, _POINTER, _POINTER, _LONG),
        *(_POINTER, _LONG, _POINTER, _POINTER, _LONG, _INT, _LONG, _INT),
    ),
    "add_and_norm": (_POINTER, _POINTER, _POINTER, _FLOAT, _POINTER, _LONG, _LONG, _INT),
    "gated": (_POINTER, _POINTER, _LONG, _LONG, _INT),
    "rotate_rows": (_POINTER, Shape, _POINTER, _POINTER, _POINTER, _LONG, _INT),
    "write_rows": (_POINTER, Shape, _POINTER, _POINTER, _LONG, _POINTER, _POINTER),
    "attend": (
        *(_POINTER, Shape, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _LONG),
        *(_POINTER, _LONG, _INT),
    ),
    "half_norm": (*(_POINTER, _POINTER, _POINTER, _FLOAT), *(_POINTER, _POINTER, _LONG, _LONG, _INT)),
    "half_normed": (_POINTER, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _INT),
    "half_norm_backward": (*(_POINTER,) * 6, _LONG, _LONG, _INT),
    "half_rotate": (_POINTER, _LONG, _LONG, _LONG, _POINTER, _POINTER, _FLOAT, _LONG, _INT),
    "half_gated": (_POINTER, _POINTER, _LONG, _LONG, _INT),
    "half_gated_backward": (_POINTER, _POINTER, _POINTER, _LONG, _LONG, _INT),
    "half_log_sums": (_POINTER, _POINTER, _LONG, _LONG, _INT),
    "half_score_gradients": (_POINTER, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _LONG, _INT),
    "half_attention": (_POINTER, Shape, _POINTER, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _INT),
    "half_attention_backward": (
        *(_POINTER, _POINTER, _POINTER, Shape, _POINTER, _POINTER, _LONG, _LONG),
        *(_POINTER, _POINTER, _LONG, _INT),
    ),
    "half_pairs": (_POINTER, _LONG, _LONG, _POINTER, _POINTER, _INT),
    "half_low_rank": (_POINTER, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _INT),
    "half_low_rank_backward": (*(_POINTER,) * 4, _LONG, _POINTER, _LONG, _INT),
}


def prepare(tell: Callable[[str], None]) -> None:
    """Compile the kernels if they are not yet; `tell` is given a line where that takes time or cannot be."""
    if not _suits():
        return
    compiler = _compiler()
    if compiler is None:
        tell(f"several times slower than it can be here: install a C compiler ({' or '.join(COMPILERS)})")
        return
    if not _target(compiler).exists():
        tell("compiling its kernels in C, once on this machine")
    if library() is None:
        tell(f"several times slower than it can be here: {compiler} cannot compile its kernels")


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, compiled if they are not yet; None where they cannot be, or are switched off."""
    compiler = _compiler()
    if not _suits() or compiler is None:
        return None
    file = _compiled(compiler)
    if file is None:
        return None
    try:
        loaded = ctypes.CDLL(str(file))
    except OSError:
        return None
    for name, arguments in _ARGUMENTS.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, None
    return loaded


def _suits() -> bool:
    """Whether the kernels are wanted and this processor has what they are written for."""
    return os.environ.get(SWITCH) != "0" and can_pack() and cpu_flags() >= NEEDED


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def kernels() -> ctypes.CDLL:
    """The kernels, asked for where `library` has them."""
    found = library()
    assert found is not None, "whoever calls this has seen that the kernels are there"
    return found


def _target(compiler: str) -> Path:
    """The library's file; another processor, compiler or torch, or other sources, get one of their own."""
    folder = Path(__file__).parent / "sources"
    known = [" ".join(sorted(cpu_flags())), compiler, torch.__version__, *OPTIONS]
    known += [(folder / name).read_text() for name in (*SOURCES, HEADER)]
    digest = hashlib.sha256("\0".join(known).encode()).hexdigest()[:24]
    return Path(platformdirs.user_cache_dir("tinker-local")) / "kernels" / f"{digest}.so"


def _compiled(compiler: str) -> Path | None:
    """The library's file, from an earlier time or made now; None where this machine cannot make it."""
    target = _target(compiler)
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = _compile(compiler, Path(__file__).parent / "sources", Path(scratch))
            if made is not None:
                made.replace(target)
    except OSError:
        return None
    return target if target.exists() else None


def _compile(compiler: str, folder: Path, scratch: Path) -> Path | None:
    made = scratch / "kernels.so"
    objects = [scratch / name.replace(".c", ".o") for name in SOURCES]
    commands = [
        [compiler, *OPTIONS, "-fopenmp", "-c", str(folder / source), "-o", str(target)]
        for source, target in zip(SOURCES, objects, strict=True)
    ]
    commands.append([compiler, "-shared", *map(str, objects), *_threads_library(), "-lm", "-o", str(made)])
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
    return made


def _threads_library() -> list[str]:
    """OpenMP as torch brings it, so that both share their threads; two teams would be in each other's way."""
    own = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    beside = sorted((Path(torch.__file__).parent.parent / "torch.libs").glob("libgomp*.so*"))
    return [str(file) for file in [*own, *beside][:1]] or ["-fopenmp"]
