"""Ollama's store and LM Studio's folder, as those programs lay them out, with a few bytes for weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

MODEL = "application/vnd.ollama.image.model"
ADAPTER = "application/vnd.ollama.image.adapter"
PROJECTOR = "application/vnd.ollama.image.projector"
TEMPLATE = "application/vnd.ollama.image.template"


class OllamaStore:
    """A store with manifests and blobs; every layer has bytes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs").mkdir(parents=True)

    def add(self, name: str, *kinds: str) -> list[Path]:
        """Write a model by its four parts, with layers of these media types; their blobs."""
        layers: list[dict[str, object]] = []
        blobs: list[Path] = []
        for kind in kinds:
            data = f"{name} {kind} {len(layers)}".encode()
            digest = hashlib.sha256(data).hexdigest()
            blobs.append(self.folder / "blobs" / f"sha256-{digest}")
            blobs[-1].write_bytes(data)
            layers.append({"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)})
        self.write_manifest(name, json.dumps({"schemaVersion": 2, "layers": layers}))
        return blobs

    def write_manifest(self, name: str, text: str) -> Path:
        """What Ollama writes of a model under its name, in whatever words."""
        file = self.folder / "manifests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who has neither program, nor a model that was got."""
    home = tmp_path / "nobody"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(home / "models"))
    monkeypatch.setenv("OLLAMA_MODELS", str(home / "ollama"))
    return home


@pytest.fixture
def ollama_store(nobody: Path) -> OllamaStore:
    """A store without models, at OLLAMA_MODELS."""
    return OllamaStore(nobody / "ollama")


def add_to_lm_studio(folder: Path, name: str) -> Path:
    """Write a file of a repository, by `PUBLISHER/REPOSITORY/FILE`."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"GGUF")
    return file
