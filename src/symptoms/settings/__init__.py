"""What can be set of a training: frozen, checked, and the same names wherever they are told."""

from symptoms.settings.experiment import ORIGINAL, read_changes
from symptoms.settings.training import REPORTED_SETTINGS, TrainingSettings

__all__ = ["ORIGINAL", "REPORTED_SETTINGS", "TrainingSettings", "read_changes"]
