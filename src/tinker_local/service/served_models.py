"""Which of the base models that a server was started with a request names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tinker_local.errors import NotFoundError
from tinker_local.loading import BaseModel


def find_base(models: Mapping[str, BaseModel], name: str) -> BaseModel:
    """The model of this name, or the one that this path leads to however it is spelled.

    Raises NotFoundError with the names there are.
    """
    if name in models:
        return models[name]
    path = Path(name).expanduser().resolve()
    for base in models.values():
        if path in base.paths:
            return base
    raise NotFoundError(f"The base model {name!r} is not served here; choose from: {', '.join(models)}.")
