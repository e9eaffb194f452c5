"""Which runs there are: by name, the newest, the one that ships, and whose a checkpoint is."""

import json
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from base_models import BaseModelError, resolve
from symptoms.errors import RunError
from symptoms.runs.directory import RUNS, TOGETHER, RunDirectory
from symptoms.service.completions import PREFIX
from symptoms.shipped import CLASSIFIER, CLASSIFIER_RUN

DEMONSTRATION = 100
"""A run on fewer examples is a demonstration: on 90 examples accuracy was no better than 11%."""
ACCURACY = "accuracy.json"
"""What a run has once it was evaluated."""
SUGGESTED = 3
"""So many of the newest runs are named where one is not there."""
SHIPPED = CLASSIFIER_RUN.name
"""What the classifier that ships is called."""


def all_runs(root: Path = RUNS) -> list[RunDirectory]:
    """Every run, in the order in which they started."""
    found = [*root.glob("*/manifest.json"), *root.glob("*/*/manifest.json")]
    return [RunDirectory(path.parent) for path in sorted(found, key=_start)]


def _start(manifest: Path) -> tuple[float, float]:
    """When the run of this manifest started, and when the file was written, in seconds since 1970.

    The former survives a copy; the latter tells two of one second apart, and stands for it where the manifest
    is damaged, as such a run must not hide the others.
    """
    written = manifest.stat().st_mtime
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))["started"]
        return datetime.fromisoformat(told).timestamp(), written
    except (OSError, ValueError, KeyError, TypeError):
        return written, written


def newest_run(root: Path = RUNS) -> RunDirectory:
    """The run that started last among the finished ones with a checkpoint; raises RunError without any."""
    runs = all_runs(root)
    for run in reversed(runs):
        if run.can_answer:
            return run
    if runs:
        raise RunError(
            f"There is no finished run in {root}/; let one finish, or choose one that is not with --run "
            f"{runs[-1].name}."
        )
    raise RunError(f"There is no trained run in {root}/; 'symptoms train --data FILE' trains one.")


def find_run(name: str, root: Path = RUNS) -> RunDirectory:
    """A run by its name or its path; raises RunError where there is none."""
    for path in (root / name, Path(name)):
        if (path / "manifest.json").exists():
            return RunDirectory(path)
    raise RunError(f"There is no run {name!r}; give a name from {root}/ or a tinker:// path.")


def shipped_run() -> RunDirectory | None:
    """The classifier that ships with the package, None where it was left out."""
    return RunDirectory(CLASSIFIER_RUN) if (CLASSIFIER_RUN / "manifest.json").exists() else None


def run_by_name(name: str, root: Path = RUNS) -> RunDirectory:
    """A run by its name or its path, or the one that ships; raises RunError where there is none.

    For what only reads: a run of that name that was trained here comes first.
    """
    shipped = shipped_run()
    if name == SHIPPED and shipped is not None and not (root / name / "manifest.json").exists():
        return shipped
    try:
        return find_run(name, root)
    except RunError as error:
        raise RunError(f"There is no run {name!r}; {_instead_of(name, root)}.") from error


def _instead_of(name: str, root: Path) -> str:
    """What can be named where a run is not there: one of like name, else the newest ones, and what ships."""
    trained = [run.name for run in reversed(all_runs(root))]
    named = get_close_matches(name, trained, 1) or trained[:SUGGESTED]
    named += [SHIPPED] if shipped_run() is not None else []
    if not named:
        return f"train one, which then lies in {root}/"
    more = f"; 'symptoms runs list' shows all {len(trained)}" if len(trained) > len(named) else ""
    return f"give {' or '.join(named)}{more}"


def run_to_ask(
    name: str | None, service: str | None = None, base_model: str | None = None, root: Path = RUNS
) -> RunDirectory:
    """The run of this name. Without one, the newest finished run, or the one that ships.

    The latter comes before runs that are demonstrations, and before those of the same conditions whose
    accuracy nobody has measured; the newest of the others comes before it. It needs the local service and
    its base model, which is not got for it.
    Raises RunError where there is none.
    """
    fits = service in (None, "local") and base_model in (None, CLASSIFIER.base_model)
    if name is not None:
        run = run_by_name(name, root)
        if run.is_shipped and not fits and not (service or "").startswith(PREFIX):
            raise RunError(
                f"The classifier that ships needs the local service and {CLASSIFIER.base_model}; leave out "
                "--service and --base-model, or name another run."
            )
        return run
    ready = [run for run in reversed(all_runs(root)) if run.can_answer]
    shipped = shipped_run() if fits else None
    better = next((run for run in ready if not (shipped and _gives_way(run, shipped))), None)
    if better is not None:
        return better
    if shipped is not None and _is_here(CLASSIFIER.base_model):
        return shipped
    if not ready and shipped is not None:
        raise RunError(
            f"There is no trained run in {root}/, and the classifier that ships needs "
            f"{CLASSIFIER.base_model}; run 'symptoms models get', or 'symptoms train --data FILE' first."
        )
    return newest_run(root)


def _gives_way(run: RunDirectory, shipped: RunDirectory) -> bool:
    """Whether what ships answers better than this run, as far as anyone knows."""
    told, ours = run.manifest(), shipped.manifest()
    if told.get("num_examples", 0) < DEMONSTRATION:
        return True
    return told.get("labels") == ours.get("labels") and not (run.path / ACCURACY).exists()


def _is_here(base_model: str) -> bool:
    try:
        resolve(base_model)
    except BaseModelError:
        return False
    return True


def run_of_checkpoint(checkpoint: str, root: Path = RUNS) -> RunDirectory | None:
    """The run that saved a checkpoint, the newest of them, or the one that ships; None where none did.

    An ensemble is found by all of its members' with `TOGETHER` between them.
    """
    if checkpoint == CLASSIFIER.checkpoint:
        return shipped_run()
    for run in reversed(all_runs(root)):
        together = TOGETHER.join(run.answering_checkpoints()) if run.members() else None
        if checkpoint == together or any(line["path"] == checkpoint for line in run.checkpoints()):
            return run
    return None
