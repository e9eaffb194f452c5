"""Where models are kept: got by name, made of GGUF files, or other programs' by their prefix."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

OLLAMA, LM_STUDIO = "ollama:", "lmstudio:"
"""How names begin of models that lie in the stores of other programs."""
CONVERTED = "converted.json"
"""In each folder that a GGUF file was converted to: what it was made from, and the sizes of its files."""


def models_home() -> Path:
    """TINKER_LOCAL_MODELS, or a folder in the user's cache: all of it can be had again."""
    chosen = os.environ.get("TINKER_LOCAL_MODELS")
    return (
        Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("tinker-local")) / "models"
    )


def got_home() -> Path:
    """What `symptoms models get` downloaded: a folder for each name, with the file in it."""
    return models_home() / "got"


def converted_home() -> Path:
    """What GGUF files were converted to: a folder for each file's digest and type."""
    return models_home() / "converted"
