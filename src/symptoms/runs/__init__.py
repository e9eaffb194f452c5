"""What training runs leave behind, and how it is found again."""

from symptoms.runs.catalogue import all_runs, find_run, newest_run, run_of_checkpoint
from symptoms.runs.directory import RUNS, RunDirectory
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.summary import TestCase, summarise

__all__ = [
    "RUNS",
    "RunDirectory",
    "StepMetrics",
    "TestCase",
    "all_runs",
    "find_run",
    "newest_run",
    "run_of_checkpoint",
    "summarise",
]
