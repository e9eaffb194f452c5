"""The compiled kernels: made once by the machine's C compiler, kept in the user's cache, loaded by ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor

from tinker_local.engine.kernels.matmul import can_pack, cpu_flags
from tinker_local.engine.kernels.native.panels import LANES

SOURCES = (
    *("few_rows.c", "pointwise.c", "attention.c", "blocks.c", "vocabulary.c"),
    *("training.c", "training_attention.c", "low_rank.c", "half_matmul.c"),
)
HEADER = "native.h"
FOLDER = Path(__file__).parent / "sources"
UNFINISHED = "unfinished-"
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
    """`struct shape` of native.h."""

    _fields_ = [("heads", ctypes.c_long), ("kv_heads", ctypes.c_long), ("width", ctypes.c_long)]


class LowRankStructure(ctypes.Structure):
    """`struct low_rank` of low_rank.c."""

    _fields_ = [
        ("layers", ctypes.c_long),
        ("rank", ctypes.c_long),
        ("padded", ctypes.c_long),
        ("inputs", ctypes.c_long),
        ("scale", ctypes.c_float),
        ("a", ctypes.c_void_p * MOST_LAYERS),
        ("b", ctypes.c_void_p * MOST_LAYERS),
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


class _Address(ctypes.c_void_p):
    """A pointer for which a tensor may be given, which is held until the call is over."""

    @classmethod
    def from_param(cls, value: Any) -> Any:
        """As ctypes asks for each argument."""
        return ctypes.c_void_p.from_param(value.data_ptr() if isinstance(value, Tensor) else value)


_FUNCTION = re.compile(r"^void (\w+)\(([^)]*)\) \{", re.MULTILINE)
"""What is called from here, by its declaration in a source."""
_TYPES = {
    "long": ctypes.c_long,
    "int": ctypes.c_int,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "struct shape": Shape,
}


class _CannotCompileError(Exception):
    """Why the kernels cannot be made here, as what has to be done about it."""


def prepare(tell: Callable[[str], None]) -> None:
    """Compile the kernels if they are not yet; `tell` is given a line where that takes time or cannot be."""
    if not _suits():
        return
    if not _is_whole(_target()):
        tell("compiling its kernels in C, once on this machine")
    made = _made()
    if not isinstance(made, Path):
        tell(f"several times slower than it can be here: {made}")


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, compiled if they are not yet; None where they cannot be, or are switched off."""
    if not _suits():
        return None
    made = _made()
    if not isinstance(made, Path):
        return None
    try:
        loaded = ctypes.CDLL(str(made))
    except OSError:
        return None
    for source in SOURCES:
        for name, arguments in _FUNCTION.findall((FOLDER / source).read_text()):
            declared = [one.strip() for one in arguments.split(",")]
            function = getattr(loaded, name)
            function.restype = None
            function.argtypes = [
                _Address if "*" in one else _TYPES[one.rpartition(" ")[0]] for one in declared
            ]
    return loaded


def has_kernels_for(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether this is bfloat16 on the CPU, and the kernels are there for it."""
    return dtype == torch.bfloat16 and device.type == "cpu" and library() is not None


def takes_bfloat16(x: Tensor) -> bool:
    """Whether this tensor is in bfloat16 on the CPU, and the kernels are there for it."""
    return has_kernels_for(x.dtype, x.device)


def takes_rows(x: Tensor, parts: int = 1) -> bool:
    """Whether the kernels take this tensor: bfloat16 rows of parts by sixteens, one behind another."""
    return takes_bfloat16(x) and x.dim() == 2 and x.shape[1] % (parts * LANES) == 0 and x.is_contiguous()


def _suits() -> bool:
    """Whether the kernels are wanted and this processor has what they are written for."""
    return os.environ.get(SWITCH) != "0" and can_pack() and cpu_flags() >= NEEDED


def kernels() -> ctypes.CDLL:
    """The kernels, asked for where `library` has them."""
    found = library()
    assert found is not None, "whoever calls this has seen that the kernels are there"
    return found


def _target() -> Path:
    """The library's file; another processor or torch, or other sources, get one of their own."""
    known = [" ".join(sorted(cpu_flags())), torch.__version__, *OPTIONS]
    known += [(FOLDER / name).read_text() for name in (*SOURCES, HEADER)]
    digest = hashlib.sha256("\0".join(known).encode()).hexdigest()[:24]
    return Path(platformdirs.user_cache_dir("tinker-local")) / "kernels" / f"{digest}.so"


def _is_whole(library_file: Path) -> bool:
    """Whether the file is as it was made: to load a part of one would end the process without a word."""
    try:
        made = library_file.with_suffix(".sha256").read_text()
        return made == hashlib.sha256(library_file.read_bytes()).hexdigest()
    except OSError:
        return False


@cache
def _made() -> Path | str:
    """The library's file, or what has to be done for one; what failed once takes its time once a process."""
    try:
        return _make()
    except _CannotCompileError as error:
        return str(error)


def _make() -> Path:
    """The library's file, from an earlier time or made now; raises _CannotCompileError."""
    target = _target()
    if _is_whole(target):
        return target
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise _CannotCompileError(f"install a C compiler ({' or '.join(COMPILERS)})")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _forget_unfinished(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=UNFINISHED) as scratch:
            made = _compile(compiler, Path(scratch))
            digest = Path(scratch) / "digest"
            digest.write_text(hashlib.sha256(made.read_bytes()).hexdigest())
            # Two that make it at once make the same, so it does not matter whose file stands.
            digest.replace(target.with_suffix(".sha256"))
            made.replace(target)
    except OSError as error:
        raise _CannotCompileError(f"{target.parent} cannot be written ({error.strerror})") from error
    return target


def _forget_unfinished(folder: Path) -> None:
    """Remove what a process left that was ended while it compiled."""
    for left in folder.glob(f"{UNFINISHED}*"):
        if time.time() - left.stat().st_mtime > 2 * SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _compile(compiler: str, scratch: Path) -> Path:
    made = scratch / "kernels.so"
    objects = [scratch / name.replace(".c", ".o") for name in SOURCES]
    commands = [
        [compiler, *OPTIONS, "-fopenmp", "-c", str(FOLDER / source), "-o", str(target)]
        for source, target in zip(SOURCES, objects, strict=True)
    ]
    commands.append([compiler, "-shared", *map(str, objects), *_threads_library(), "-lm", "-o", str(made)])
    for command in commands:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False, errors="replace"
            )
        except subprocess.TimeoutExpired as error:
            raise _CannotCompileError(f"{compiler} did not compile its kernels in {SECONDS} s") from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
            raise _CannotCompileError(f"{compiler} cannot compile its kernels ({said[0]})")
    return made


def _threads_library() -> list[str]:
    """OpenMP as torch brings it, so that both share their threads; two teams would be in each other's way."""
    own = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    beside = sorted((Path(torch.__file__).parent.parent / "torch.libs").glob("libgomp*.so*"))
    return [str(file) for file in [*own, *beside][:1]] or ["-fopenmp"]
