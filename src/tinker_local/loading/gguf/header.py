"""The header of one GGUF file: its keys with their values, and where each tensor lies.

The format is that of docs/gguf.md in the ggml repository, versions 2 and 3. The library's own reader is not
used for it: that of gguf 0.19 does not come back from a file whose array claims 2**63 elements (llama.cpp's
pull request 27188), takes a truncated string for a whole one, and needs two seconds for 49,152 tokens.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from tinker_local.errors import StartupError
from tinker_local.loading.gguf.paths import MAGIC

VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 4
MOST_ELEMENTS = 2**24
"""Of an array; the longest are vocabularies, which have less than a million."""
MOST_BYTES = 2**26
"""Of a string; the longest are whole tokenizer files."""
MOST_BYTES_OF_NAME = 2**10
"""Of the name of a key or tensor, which messages show; llama.cpp allows tensors 63."""

STRING, ARRAY = 8, 9
NUMBERS: Mapping[int, str] = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8",
    12: "<f8",
}  # fmt: skip
"""The types of values that are numbers, by their code in the file, as numpy's names."""


@dataclass(frozen=True)
class GgufTensor:
    """A tensor as it is stored; `data` is mapped from the file and read where it is touched."""

    name: str
    shape: tuple[int, ...]
    """In torch's order, rows first; GGUF's own is the other way round."""
    kind: GGMLQuantizationType
    data: NDArray[np.uint8]
    """Blocks, uint8 [rows, bytes of a row]."""


@dataclass(frozen=True)
class GgufPart:
    """What one file holds: plain Python values by key, arrays as lists, and tensors by name."""

    fields: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_part(path: Path) -> GgufPart:
    """Map a file and read its header; raises StartupError where it is no GGUF file that can be read."""
    try:
        # numpy refuses to map an empty file, so it is read like any other that is too short.
        data = np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.zeros(0, np.uint8)
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    reader = _Reader(path, data)
    num_tensors, num_fields = reader.start()
    fields: dict[str, Any] = {}
    for _ in range(num_fields):
        key = reader.string("the name of a key", MOST_BYTES_OF_NAME)
        if key in fields:
            raise reader.damaged(f"it has the key {key!r} twice")
        fields[key] = reader.value(key)
    stored = [reader.tensor() for _ in range(num_tensors)]
    tensors: dict[str, GgufTensor] = {}
    alignment = _alignment(reader, fields)
    start = _round_up(reader.offset, alignment)
    expected = 0
    for name, shape, kind, offset in stored:
        if name in tensors:
            raise reader.damaged(f"it has the tensor {name!r} twice")
        block, size = GGML_QUANT_SIZES[kind]
        if shape[-1] % block:
            raise reader.damaged(f"the rows of {name!r} are no multiple of {kind.name}'s {block}")
        rows, row_bytes = math.prod(shape[:-1]), shape[-1] // block * size
        # The format has tensors one behind the other, so any other place means damage.
        if offset != expected:
            raise reader.damaged(
                f"{name!r} is said to lie at {offset}, and the one before it ends at {expected}"
            )
        end = start + offset + rows * row_bytes
        if end > len(data):
            raise StartupError(
                f"{path} ends in the middle of its tensor {name!r}; it is not complete, so get it again."
            )
        tensors[name] = GgufTensor(name, shape, kind, data[start + offset : end].reshape(rows, row_bytes))
        expected = _round_up(offset + rows * row_bytes, alignment)
    return GgufPart(fields, tensors)


def _alignment(reader: _Reader, fields: Mapping[str, Any]) -> int:
    alignment = fields.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise reader.damaged("its general.alignment is no power of two")
    return alignment


def _round_up(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


class _Reader:
    """Values from the bytes of a file, one behind the other."""

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self.path = path
        self.offset = 0
        self._data = data.data

    def damaged(self, what: str) -> StartupError:
        return StartupError(f"{self.path} is damaged ({what}); get it again.")

    def start(self) -> tuple[int, int]:
        """Read what every file begins with; returns the numbers of tensors and keys."""
        if bytes(self._take(min(len(MAGIC), len(self._data)), "")) != MAGIC:
            raise StartupError(f"{self.path} is no GGUF file; give one, or a folder with safetensors.")
        [version] = struct.unpack("<I", self._take(4, "its version"))
        if version & 0xFFFF == 0:
            raise StartupError(
                f"{self.path} is a big-endian GGUF file, which is not supported; get the other kind."
            )
        if version not in VERSIONS:
            raise StartupError(
                f"{self.path} has GGUF version {version}, and {' and '.join(map(str, VERSIONS))} are "
                "supported; get one made by a recent llama.cpp."
            )
        return struct.unpack("<QQ", self._take(16, "its counts"))

    def string(self, what: str, most_bytes: int = MOST_BYTES) -> str:
        length = self._length(what)
        if length > most_bytes:
            raise self.damaged(f"{what} is said to have {length} bytes")
        try:
            return str(self._take(length, what), "utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(f"{what} is not UTF-8") from error

    def value(self, key: str) -> Any:
        """The value of a key: bool, int, float or str, or a list of one of them."""
        kind = self._whole(f"{key!r}")
        if kind == STRING:
            return self.string(f"{key!r}")
        if kind != ARRAY:
            return self._numbers(kind, 1, key)[0]
        inner, length = self._whole(f"{key!r}"), self._length(f"{key!r}")
        if length > MOST_ELEMENTS:
            raise self.damaged(f"{key!r} is said to have {length} elements")
        if inner == STRING:
            return [self.string(f"an element of {key!r}") for _ in range(length)]
        return self._numbers(inner, length, key)

    def tensor(self) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
        """The name, shape in torch's order, type, and place within the data of one tensor."""
        name = self.string("the name of a tensor", MOST_BYTES_OF_NAME)
        dimensions = self._whole(f"{name!r}")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.damaged(f"{name!r} is said to have {dimensions} dimensions")
        shape = struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions, f"{name!r}"))[::-1]
        if 0 in shape:
            raise self.damaged(f"{name!r} has nothing in it")
        kind, offset = struct.unpack("<IQ", self._take(12, f"{name!r}"))
        try:
            return name, shape, GGMLQuantizationType(kind), offset
        except ValueError as error:
            raise StartupError(
                f"{self.path} stores {name!r} in the type {kind}, which is not known here; choose another "
                "quantisation."
            ) from error

    def _numbers(self, kind: int, count: int, key: str) -> list[Any]:
        if kind not in NUMBERS:
            raise self.damaged(f"{key!r} has a value of the unknown type {kind}")
        dtype = np.dtype(NUMBERS[kind])
        return np.frombuffer(self._take(count * dtype.itemsize, f"{key!r}"), dtype).tolist()

    def _whole(self, what: str) -> int:
        return struct.unpack("<I", self._take(4, what))[0]

    def _length(self, what: str) -> int:
        return struct.unpack("<Q", self._take(8, what))[0]

    def _take(self, count: int, what: str) -> memoryview:
        if count > len(self._data) - self.offset:
            raise StartupError(
                f"{self.path} ends in the middle of {what}; it is not complete, so get it again."
            )
        self.offset += count
        return self._data[self.offset - count : self.offset]
