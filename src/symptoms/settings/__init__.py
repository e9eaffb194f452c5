"""What can be set of a training: frozen, checked, and the same names wherever they are told."""

from symptoms.settings.experiment import ExperimentSettings
from symptoms.settings.training import TrainingSettings

__all__ = ["ExperimentSettings", "TrainingSettings"]
