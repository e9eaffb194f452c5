"""Training: settings, batches, the loop, and what a run shows and leaves behind."""

from symptoms.train.conclusion.concluding import conclude
from symptoms.train.request.recommended_settings import resolve
from symptoms.train.request.settings_file import read_settings_file
from symptoms.train.request.training_data import TrainingData, load_training_data
from symptoms.train.tokenized_job import prepare
from symptoms.train.watching.training_progress import TrainingProgress

__all__ = [
    "TrainingData",
    "TrainingProgress",
    "conclude",
    "load_training_data",
    "prepare",
    "read_settings_file",
    "resolve",
]
