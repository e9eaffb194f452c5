"""Models in Ollama's store, which are read and never written.

The store is a folder with `manifests/<registry>/<namespace>/<model>/<tag>`, each a JSON object of layers,
and `blobs/sha256-<digest>` with their bytes: https://github.com/ollama/ollama, server/manifest.go. The layer
of the media type `application/vnd.ollama.image.model` is a GGUF file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from base_models.errors import BaseModelError
from base_models.places import OLLAMA as PREFIX

SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama keeps models when it runs as a service of Linux, under a user of its own."""
REGISTRY, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
"""What a name leaves out where it says nothing else."""
WEIGHTS = "application/vnd.ollama.image.model"
REFUSED = {
    "application/vnd.ollama.image.adapter": "an adapter",
    "application/vnd.ollama.image.projector": "a projector for images",
}


class _Layer(BaseModel):
    media_type: str = Field(alias="mediaType")
    digest: str = Field(pattern=r"^sha256[:-][0-9a-f]{64}$")
    size: int = Field(ge=0)


class _Manifest(BaseModel):
    layers: list[_Layer] | None = None
    """Models that run in Ollama's cloud have none."""


@dataclass(frozen=True)
class Entry:
    """A manifest of the store, by the four parts of its name."""

    store: Path
    registry: str
    namespace: str
    model: str
    tag: str

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Registry, namespace, model and tag: the folders below `manifests`, and the file in them."""
        return self.registry, self.namespace, self.model, self.tag

    @property
    def manifest(self) -> Path:
        """The JSON file of its layers, perhaps unreadable: the store of the service has a user of its own."""
        return self.store.joinpath("manifests", *self.parts)

    @property
    def untagged(self) -> str:
        """The name as Ollama writes it, without its tag."""
        if self.registry != REGISTRY:
            return f"{self.registry}/{self.namespace}/{self.model}"
        return self.model if self.namespace == NAMESPACE else f"{self.namespace}/{self.model}"

    @property
    def name(self) -> str:
        """The name as Ollama writes it, without a tag where that is the usual one."""
        return self.untagged if self.tag == TAG else f"{self.untagged}:{self.tag}"


def stores() -> list[Path]:
    """OLLAMA_MODELS; where that is not set, the user's store and that of the service."""
    chosen = os.environ.get("OLLAMA_MODELS")
    if chosen:
        return [Path(os.path.expanduser(chosen))]
    return [Path(os.path.expanduser("~/.ollama/models")), SERVICE_STORE]


def entries() -> list[Entry]:
    """All models of the stores by name; one that lies in several is taken from the first."""
    found: dict[tuple[str, str, str, str], Entry] = {}
    for store in stores():
        folder = store / "manifests"
        for path in folder.glob("*/*/*/*"):
            parts = path.relative_to(folder).parts
            if not any(part.startswith(".") for part in parts) and os.path.isfile(path):
                registry, namespace, model, tag = parts
                entry = Entry(store, registry, namespace, model, tag)
                found.setdefault(entry.parts, entry)
    return sorted(found.values(), key=lambda entry: entry.name)


def find(name: str) -> Path:
    """The GGUF file of `NAME[:TAG]`, where NAME is `model`, `user/model` or `registry/user/model`.

    A name is only compared with those in the store and never made a path, so it cannot lead elsewhere.
    Raises BaseModelError for names that are not in the store, and for models with more than one GGUF file.
    """
    wanted = _parse(name)
    known = entries()
    if not known:
        searched = " and ".join(str(store) for store in stores())
        raise BaseModelError(
            f"Ollama has no models in {searched}; 'ollama pull {name}' gets one, or set OLLAMA_MODELS to "
            "the folder that it uses."
        )
    same_model = [entry for entry in known if _fold(entry.parts[:3]) == _fold(wanted[:3])]
    if not same_model:
        raise BaseModelError(
            f"Ollama has no {name!r}; it has {', '.join(entry.name for entry in known)}, "
            f"and 'ollama pull' gets others."
        )
    same_tag = [entry for entry in same_model if _fold(entry.parts) == _fold(wanted)]
    if not same_tag:
        tags = ", ".join(entry.tag for entry in same_model)
        raise BaseModelError(
            f"Ollama has no {name!r}; the tags that it has of {same_model[0].untagged} are {tags}."
        )
    exact = [entry for entry in same_tag if entry.parts == wanted]
    return weights(exact[0] if exact else same_tag[0])[0]


def weights(entry: Entry) -> tuple[Path, int]:
    """A model's GGUF file and its size in bytes; raises BaseModelError where it has none, or several."""
    layers = _read(entry)
    for layer in layers:
        if layer.media_type in REFUSED:
            raise BaseModelError(
                f"Ollama's {entry.name} has {REFUSED[layer.media_type]} ({layer.media_type}) beside its "
                "weights, which is not supported; use a model of text alone."
            )
    models = [layer for layer in layers if layer.media_type == WEIGHTS]
    if not models:
        kinds = ", ".join(sorted({layer.media_type for layer in layers})) or "none"
        raise BaseModelError(
            f"Ollama's {entry.name} has no GGUF file (layers: {kinds}); use a model that Ollama runs on this "
            "machine from a GGUF file."
        )
    if len(models) > 1:
        raise BaseModelError(
            f"Ollama's {entry.name} has {len(models)} layers of weights, and only one GGUF file can be read; "
            "use another model."
        )
    file = entry.store / "blobs" / models[0].digest.replace(":", "-")
    if not os.path.isfile(file):
        raise BaseModelError(
            f"{file}, the weights of Ollama's {entry.name}, is missing; "
            f"'ollama pull {entry.name}' gets it again."
        )
    return file, models[0].size


def _read(entry: Entry) -> list[_Layer]:
    try:
        return _Manifest.model_validate_json(entry.manifest.read_bytes()).layers or []
    except OSError as error:
        raise BaseModelError(
            f"{entry.manifest} cannot be read ({error.strerror}); check who may read Ollama's store."
        ) from error
    except ValidationError as error:
        raise BaseModelError(
            f"{entry.manifest} is damaged; 'ollama pull {entry.name}' writes it again."
        ) from error


def _parse(name: str) -> tuple[str, str, str, str]:
    """Registry, namespace, model and tag of a name as a user writes it."""
    path, _, last = name.rpartition("/")
    model, colon, tag = last.partition(":")
    parts = [*path.split("/"), model] if path else [model]
    if len(parts) > 3 or not all(parts) or (colon and not tag) or ".." in parts or name.startswith("/"):
        raise BaseModelError(
            f"{PREFIX}{name} does not name a model of Ollama's; write {PREFIX}MODEL, {PREFIX}USER/MODEL or "
            f"{PREFIX}REGISTRY/USER/MODEL, each with :TAG where it is not {TAG}."
        )
    registry, namespace, model = [*[REGISTRY, NAMESPACE][: 3 - len(parts)], *parts]
    return registry, namespace, model, tag or TAG


def _fold(parts: Sequence[str]) -> tuple[str, ...]:
    """Ollama does not tell upper from lower case."""
    return tuple(part.casefold() for part in parts)
