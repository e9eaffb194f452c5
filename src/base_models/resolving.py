"""From a model's name, as a user gives it, to where it lies on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from base_models.errors import BaseModelError
from base_models.hub import download, is_hub_name

BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class ResolvedModel:
    """A model that is on this machine: a folder in Hugging Face's layout, or a GGUF file."""

    name: str
    path: Path


def bundled_models() -> dict[str, Path]:
    """The base models that are part of the package, by name."""
    return {folder.name: folder for folder in sorted(BUNDLED.iterdir()) if (folder / "config.json").exists()}


def is_bundled(folder: Path) -> bool:
    """Whether a folder is that of a model that is part of the package."""
    return folder.resolve().parent == BUNDLED.resolve()


def resolve(name: str) -> ResolvedModel:
    """A bundled model, a local path, or a download from the hub, in this order.

    Raises BaseModelError where there is none.
    """
    bundled = bundled_models()
    if name in bundled:
        return ResolvedModel(name, bundled[name])
    path = Path(name).expanduser()
    if path.exists():
        return ResolvedModel(name, path)
    if not is_hub_name(name):
        raise BaseModelError(
            f"There are no weights at {name!r}; give a folder with config.json and safetensors, "
            f"a hub name, or one of: {', '.join(bundled) or 'none bundled'}."
        )
    return ResolvedModel(name, download(name))
