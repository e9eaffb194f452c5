"""Training: settings, batches, the loop, and what a run shows and leaves behind."""

from symptoms.train.conclusion import conclude
from symptoms.train.job import Job, prepare
from symptoms.train.progress import TrainingProgress
from symptoms.train.recommended_settings import resolve
from symptoms.train.run_directory import (
    RunDirectory,
    TestCase,
    all_runs,
    find_run,
    newest_run,
    run_of_checkpoint,
)
from symptoms.train.settings_file import read_settings_file
from symptoms.train.training_data import TrainingData, load_training_data

__all__ = [
    "Job",
    "RunDirectory",
    "TestCase",
    "TrainingData",
    "TrainingProgress",
    "all_runs",
    "conclude",
    "find_run",
    "load_training_data",
    "newest_run",
    "prepare",
    "read_settings_file",
    "resolve",
    "run_of_checkpoint",
]
