"""Base models by name: which there are, where each comes from, and where it lies on this machine.

Shared by the lab and the server, which know nothing of each other; it computes nothing and imports neither.
"""

from base_models.errors import BaseModelError
from base_models.resolving import ResolvedModel, resolve
from base_models.table import BUNDLED_BASE, DEFAULT_BASE, KnownModel, known_models

__all__ = [
    "BUNDLED_BASE",
    "DEFAULT_BASE",
    "BaseModelError",
    "KnownModel",
    "ResolvedModel",
    "known_models",
    "resolve",
]
