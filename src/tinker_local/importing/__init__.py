"""Adapters that were made elsewhere, as checkpoints that are sampled, served and trained on here."""

from tinker_local.importing.importing import Imported, import_adapter

__all__ = ["Imported", "import_adapter"]
