"""Training: settings, batches, the loop, and what a run shows and leaves behind."""

from symptoms.train.conclusion import conclude
from symptoms.train.job import Job, prepare
from symptoms.train.progress import TrainingProgress
from symptoms.train.recommended_settings import resolve
from symptoms.train.settings_file import read_settings_file
from symptoms.train.training_data import TrainingData, load_training_data

__all__ = [
    "Job",
    "TrainingData",
    "TrainingProgress",
    "conclude",
    "load_training_data",
    "prepare",
    "read_settings_file",
    "resolve",
]
