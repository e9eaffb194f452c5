"""Which files a GGUF model consists of, by their names and first bytes."""

from __future__ import annotations

import re
from pathlib import Path

from tinker_local.errors import StartupError

MAGIC = b"GGUF"
PART_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
"""The names that llama.cpp gives the parts of a split file, and by which it finds them."""
PROJECTOR = "mmproj-"
"""What names begin with of files that turn pictures into vectors and lie beside the model that reads them."""


def find_gguf(path: Path) -> Path | None:
    """The GGUF file that a path means: itself, or the only one in a folder without config.json.

    A file is told by its first bytes, since those that Ollama keeps have no suffix. Returns None for any
    other folder; raises StartupError where a file is something else, or a folder leaves the choice open.
    """
    if not path.is_dir():
        _refuse_irregular(path)
        try:
            with path.open("rb") as opened:
                found = opened.read(len(MAGIC)) == MAGIC
        except OSError as error:
            raise StartupError(f"{path} cannot be read ({error.strerror}); check the path.") from error
        if not found and (path.suffix == ".safetensors" or (path.parent / "config.json").exists()):
            raise StartupError(
                f"{path} is a file, and a model is the folder that it lies in; give {path.parent}."
            )
        if not found:
            raise StartupError(f"{path} is no GGUF file; give one, or a folder with safetensors.")
        return path
    if (path / "config.json").exists():
        return None
    # Of a split file the first part there is stands for all.
    models: dict[str, Path] = {}
    for file in sorted(path.glob("*.gguf")):
        if file.name.startswith(PROJECTOR):
            continue
        part = PART_NAME.fullmatch(file.name)
        models.setdefault(f"{part['stem']}-of-{part['count']}" if part else file.name, file)
    if len(models) > 1:
        names = ", ".join(file.name for file in models.values())
        raise StartupError(f"{path} holds several GGUF files; choose one of them: {names}.")
    return next(iter(models.values()), None)


def part_paths(path: Path) -> tuple[Path, ...]:
    """All files of the model that a file is or belongs to; raises StartupError where one is missing."""
    part = PART_NAME.fullmatch(path.name)
    if part is None:
        return (path,)
    count = int(part["count"])
    if not 1 <= int(part["number"]) <= count:
        raise StartupError(f"{path} is named as no part of {count}; give it the name that it came with.")
    paths = tuple(path.with_name(f"{part['stem']}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1))
    for each in paths:
        if not each.exists():
            raise StartupError(f"{path.name} is one of {count} parts, and {each} is missing; put it there.")
        _refuse_irregular(each)
    return paths


def _refuse_irregular(path: Path) -> None:
    """Raise StartupError for what is there and no regular file: opening a pipe would wait for its writer."""
    if path.exists() and not path.is_file():
        raise StartupError(f"{path} is no regular file; give a GGUF file, or a folder with safetensors.")
