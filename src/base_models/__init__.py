"""Base models by name: which there are, where each comes from, and where it lies on this machine.

Shared by the lab and the server, which know nothing of each other; it computes nothing and imports neither.
"""

from base_models.errors import BaseModelError, on_one_line, readable
from base_models.resolving import ResolvedModel, is_bundled, resolve
from base_models.shape import ModelShape, shape_of_config, shape_on_the_hub
from base_models.table import BUNDLED_BASE, DEFAULT_BASE, KnownModel, known_models

__all__ = [
    "BUNDLED_BASE",
    "DEFAULT_BASE",
    "BaseModelError",
    "KnownModel",
    "ModelShape",
    "ResolvedModel",
    "is_bundled",
    "known_models",
    "on_one_line",
    "readable",
    "resolve",
    "shape_of_config",
    "shape_on_the_hub",
]
