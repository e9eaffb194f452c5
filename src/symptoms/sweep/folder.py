"""The folder of a sweep: its runs, and sweep.json with the plan and what came of each run.

runs/<sweep>/sweep.json    the plan and the outcomes
             <run>/        a run directory
             lock          held by the process that works through the sweep
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from symptoms.errors import RunError
from symptoms.runs.directory import RUNS, RunDirectory
from symptoms.runs.files import write_json
from symptoms.runs.lock import locked
from symptoms.sweep.plan import PlannedRun

PLAN_FILE = "sweep.json"
State = Literal["waiting", "training", "evaluating", "finished", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What came of a run. `dev_loss` is that of the weights that are used.

    `test` has the figures of the test set, where it was evaluated.
    """

    state: State = "waiting"
    final_loss: float | None = None
    dev_loss: float | None = None
    train_seconds: float | None = None
    test: Mapping[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Entry:
    """A run with its outcome, as sweep.json has it."""

    name: str
    setting: str
    settings: Mapping[str, Any]
    outcome: Outcome


@dataclass(frozen=True)
class SweepRecord:
    """What sweep.json holds."""

    evaluate: str | None
    service: str | None
    runs: tuple[Entry, ...]


_RECORD = TypeAdapter(SweepRecord)


class SweepFolder:
    """The folder runs/<name>; `record` is what sweep.json holds."""

    def __init__(self, name: str, record: SweepRecord) -> None:
        self.name = name
        self.path = RUNS / name
        self.record = record
        # Several runs may be trained at once, each in a thread of its own.
        self._writing = threading.Lock()

    @classmethod
    def open(
        cls, name: str, runs: Sequence[PlannedRun], evaluate: str | None, service: str | None
    ) -> SweepFolder:
        """A new sweep, or one that was begun: then with further runs, if the plan has more by now.

        Raises RunError where a run of that name has other settings, or where the name is taken.
        """
        if not name.strip(".") or any(c in name for c in "/\\\0"):
            raise RunError(f"{name!r} cannot name a sweep; use letters, digits and '-'.")
        path = RUNS / name
        if not path.exists():
            entries = tuple(Entry(run.name, run.setting, run.settings, Outcome()) for run in runs)
            return cls(name, SweepRecord(evaluate, service, entries))
        known = {entry.name: entry for entry in cls.read(name).record.runs}
        for run in runs:
            entry = known.get(run.name)
            if entry is not None and dict(entry.settings) != dict(run.settings):
                raise RunError(
                    f"The sweep {name} has a run {run.name} with other settings; choose another --name."
                )
        planned = [
            known.get(run.name) or Entry(run.name, run.setting, run.settings, Outcome()) for run in runs
        ]
        names = {entry.name for entry in planned}
        others = [entry for entry in known.values() if entry.name not in names]
        return cls(name, SweepRecord(evaluate, service, (*planned, *others)))

    @classmethod
    def read(cls, name: str) -> SweepFolder:
        """A sweep that was begun; raises RunError where there is none of that name."""
        file = RUNS / name / PLAN_FILE
        try:
            return cls(name, _RECORD.validate_json(file.read_bytes()))
        except FileNotFoundError as error:
            raise RunError(f"{RUNS / name} is not the folder of a sweep; choose another name.") from error
        except ValidationError as error:
            raise RunError(f"{file} cannot be read; remove the sweep's folder, and begin anew.") from error

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Make the folder, and keep other processes from this sweep meanwhile."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"The sweep {self.path} cannot be written ({error.strerror}); work in another folder."
            ) from error
        with locked(self.path / "lock", f"The sweep {self.name}"):
            self._write()
            yield

    def run_directory(self, name: str) -> RunDirectory | None:
        """The directory of a run that was begun; what is left of one that had not come so far is removed."""
        path = self.path / name
        if (path / "manifest.json").exists():
            return RunDirectory(path)
        if path.exists():
            shutil.rmtree(path)
        return None

    def note(self, name: str, outcome: Outcome) -> None:
        """Write what came of a run."""
        with self._writing:
            entries = [
                Entry(one.name, one.setting, one.settings, outcome) if one.name == name else one
                for one in self.record.runs
            ]
            self.record = SweepRecord(self.record.evaluate, self.record.service, tuple(entries))
            self._write()

    def _write(self) -> None:
        write_json(self.path / PLAN_FILE, asdict(self.record))


def find_sweep(name: str) -> SweepFolder | None:
    """A sweep by its name or its folder; None where there is no such sweep."""
    # Only the folder itself: a run in it may be called as another sweep is.
    name = Path(name).name if Path(name).parent == RUNS else name
    return SweepFolder.read(name) if (RUNS / name / PLAN_FILE).exists() else None


def runs_of_sweep(name: str) -> list[RunDirectory] | None:
    """The runs of a sweep that were begun, in the order of its plan; None where there is no such sweep."""
    folder = find_sweep(name)
    if folder is None:
        return None
    paths = [folder.path / entry.name for entry in folder.record.runs]
    return [RunDirectory(path) for path in paths if (path / "manifest.json").exists()]
