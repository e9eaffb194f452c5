"""Which runs there are: by name, the newest, and whose a checkpoint is."""

from __future__ import annotations

from pathlib import Path

from symptoms.errors import RunError
from symptoms.runs.directory import RUNS, RunDirectory


def all_runs(root: Path = RUNS) -> list[RunDirectory]:
    """Every run, in the order in which they started."""
    found = [*root.glob("*/manifest.json"), *root.glob("*/*/manifest.json")]
    manifests = sorted(found, key=lambda path: path.stat().st_mtime)
    return [RunDirectory(path.parent) for path in manifests]


def newest_run(root: Path = RUNS) -> RunDirectory:
    """The run that started last among the finished ones with a checkpoint; raises RunError without any."""
    runs = all_runs(root)
    for run in reversed(runs):
        if run.is_finished and run.checkpoints():
            return run
    if runs:
        raise RunError(
            f"There is no finished run in {root}/; let one finish, or choose one that is not with --run "
            f"{runs[-1].name}."
        )
    raise RunError(f"There is no trained run in {root}/; run 'python train_mental_health.py' first.")


def find_run(name: str, root: Path = RUNS) -> RunDirectory:
    """A run by its name or its path; raises RunError where there is none."""
    for path in (root / name, Path(name)):
        if (path / "manifest.json").exists():
            return RunDirectory(path)
    raise RunError(f"There is no run {name!r}; give a name from {root}/ or a tinker:// path.")


def run_of_checkpoint(checkpoint: str, root: Path = RUNS) -> RunDirectory | None:
    """The run that saved a checkpoint, the newest of them; None where none did."""
    for run in reversed(all_runs(root)):
        if any(line["path"] == checkpoint for line in run.checkpoints()):
            return run
    return None
