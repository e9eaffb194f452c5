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
from symptoms.runs.directory import RUNS, TOGETHER, RunDirectory
from symptoms.runs.joined import average_runs, check_alike, ensembles_with, join_runs, refuse_ensemble
from symptoms.runs.summary import TestCase

__all__ = [
    "ACCURACY",
    "DEMONSTRATION",
    "RUNS",
    "SHIPPED",
    "TOGETHER",
    "RunDirectory",
    "TestCase",
    "all_runs",
    "average_runs",
    "check_alike",
    "ensembles_with",
    "find_run",
    "join_runs",
    "newest_run",
    "refuse_ensemble",
    "run_by_name",
    "run_of_checkpoint",
    "run_to_ask",
    "shipped_run",
]
