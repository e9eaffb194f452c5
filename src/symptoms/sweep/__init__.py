"""Sweeps: many runs of one plan, one after another on one service."""

from symptoms.sweep.folder import SweepFolder, find_sweep, runs_of_sweep
from symptoms.sweep.plan import PlannedRun, SweepPlan
from symptoms.sweep.plan_file import preset_names, read_preset, read_sweep_file

__all__ = [
    "PlannedRun",
    "SweepFolder",
    "SweepPlan",
    "find_sweep",
    "preset_names",
    "read_preset",
    "read_sweep_file",
    "runs_of_sweep",
]
