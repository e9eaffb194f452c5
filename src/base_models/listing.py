"""All models that have a name here: those of the table, and what lies in Ollama's and LM Studio's stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from base_models.errors import BaseModelError
from base_models.files import size_of
from base_models.got import package_file
from base_models.origins import lm_studio, ollama
from base_models.resolving import find_known
from base_models.table import KnownModel, known_models

Where = Literal["bundled", "got", "hub cache", "Ollama", "LM Studio"]


@dataclass(frozen=True)
class ListedModel:
    """A model by the name to use it by."""

    name: str
    where: Where | None
    """None where it has to be got first."""
    path: Path | None
    size: int
    """Bytes on disk, or to download where it has to be got first."""
    licence: str | None = None
    parameters: int | None = None
    about: str | None = None
    problem: str | None = None
    """Why it cannot be used, in a sentence."""


def list_models() -> list[ListedModel]:
    """The models of the table, then Ollama's, then LM Studio's."""
    of_the_table = (_known(name, row) for name, row in known_models().items())
    return [*of_the_table, *_in_ollama(), *_in_lm_studio()]


def _known(name: str, row: KnownModel) -> ListedModel:
    path, problem = None, None
    try:
        path = find_known(name, row)
    except BaseModelError as error:
        problem = str(error)
    where: Where | None = None
    if path is not None:
        is_file = path == package_file(name, row)
        where = "bundled" if row.is_bundled else "got" if is_file else "hub cache"
    size = row.download_bytes if path is None else size_of(path)
    return ListedModel(name, where, path, size, row.licence, row.parameters, row.about, problem)


def _in_ollama() -> Iterator[ListedModel]:
    for entry in ollama.entries():
        name = f"{ollama.PREFIX}{entry.name}"
        try:
            path, size = ollama.weights(entry)
        except BaseModelError as error:
            yield ListedModel(name, "Ollama", None, 0, problem=str(error))
        else:
            yield ListedModel(name, "Ollama", path, size)


def _in_lm_studio() -> Iterator[ListedModel]:
    for repository in lm_studio.repositories():
        for name, path in lm_studio.names_of(repository):
            yield ListedModel(f"{lm_studio.PREFIX}{name}", "LM Studio", path, size_of(path))
