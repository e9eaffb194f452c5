"""What training runs leave behind, and how it is found again."""

from symptoms.runs.catalogue import (
    ACCURACY,
    DEMONSTRATION,
    SHIPPED,
    all_runs,
    find_run,
    newest_run,
    run_by_name,
    run_of_checkpoint,
    run_to_ask,
    shipped_run,
)
from symptoms.runs.directory import RUNS, RunDirectory
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.summary import TestCase, summarise

__all__ = [
    "ACCURACY",
    "DEMONSTRATION",
    "RUNS",
    "SHIPPED",
    "RunDirectory",
    "StepMetrics",
    "TestCase",
    "all_runs",
    "find_run",
    "newest_run",
    "run_by_name",
    "run_of_checkpoint",
    "run_to_ask",
    "shipped_run",
    "summarise",
]
