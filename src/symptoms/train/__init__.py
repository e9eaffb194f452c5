"""What a training run shows and leaves behind: progress, run directory, figure and report."""

from symptoms.train.conclusion import conclude
from symptoms.train.progress import TrainingProgress
from symptoms.train.run_directory import RunDirectory, TestCase, find_run, newest_run

__all__ = ["RunDirectory", "TestCase", "TrainingProgress", "conclude", "find_run", "newest_run"]
