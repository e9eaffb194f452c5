"""A GGUF file, or all the parts of one that was split, as keys and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinker_local.errors import StartupError
from tinker_local.loading.gguf.header import GgufPart, GgufTensor, read_part
from tinker_local.loading.gguf.paths import part_paths

COUNT, NUMBER, TENSORS = "split.count", "split.no", "split.tensors.count"


@dataclass(frozen=True)
class GgufFile:
    """A model in GGUF: its files in order, its keys with plain Python values, and its tensors by name."""

    paths: tuple[Path, ...]
    fields: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def open_gguf(path: Path) -> GgufFile:
    """Open a file, and the other parts where it is one of several; raises StartupError.

    The keys are those of the first part; the others may not say anything else.
    """
    paths = part_paths(path)
    parts = [read_part(each) for each in paths]
    fields = parts[0].fields
    tensors: dict[str, GgufTensor] = {}
    for place, (each, part) in enumerate(zip(paths, parts, strict=True)):
        _check_part(each, place, len(paths), part)
        for key, value in part.fields.items():
            if place > 0 and key != NUMBER and (key not in fields or fields[key] != value):
                raise StartupError(
                    f"{each} sets {key!r} otherwise than {paths[0].name}; get the parts of one model."
                )
        twice = tensors.keys() & part.tensors.keys()
        if twice:
            raise StartupError(f"{each} holds {min(twice)!r} a second time; get the parts of one model.")
        tensors.update(part.tensors)
    if len(paths) > 1 and fields[TENSORS] != len(tensors):
        raise StartupError(
            f"The parts of {paths[0]} hold {len(tensors)} tensors where {fields[TENSORS]!r} are said to be; "
            "get them again."
        )
    return GgufFile(paths, fields, tensors)


def _check_part(path: Path, place: int, count: int, part: GgufPart) -> None:
    """That what a file says of itself is what its name says."""
    said = part.fields.get(COUNT, 0), part.fields.get(NUMBER, 0)
    # A split into one part is none, and may be written either way.
    if count == 1 and said in ((0, 0), (1, 0)):
        return
    if said != (count, place):
        named = f"part {place + 1} of {count}" if count > 1 else "a whole model"
        raise StartupError(
            f"{path} is named as {named}, and says of itself {COUNT} {said[0]!r} and {NUMBER} {said[1]!r}; "
            "give it the name that it came with."
        )
    if TENSORS not in part.fields:
        raise StartupError(f"{path} has no {TENSORS}; it may be damaged, so get it again.")
