"""The parent's side of a benchmark: processes that are told when to work, and the cases they work at."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.environments import Environment, Threads
from benchmarks.places import cache


@dataclass(frozen=True)
class Worker:
    """A process to start: its module, what it is given first, and in which environment it runs."""

    module: str
    settings: Mapping[str, Any]
    environment: str = "ours"
    """`ours`, `peers`, or `beside`: ours at another commit."""

    @property
    def key(self) -> str:
        """Tells apart what has to be a process of its own: contestants with one key share one."""
        return json.dumps([self.module, self.environment, self.settings], sort_keys=True)


@dataclass(frozen=True)
class Contestant:
    """One row of a case: a worker and what it is told to do. Contestants may share a worker."""

    name: str
    worker: Worker
    action: str = "step"
    also: tuple[Worker, ...] = ()
    """Workers that do the same at the same time; the slowest counts."""


@dataclass(frozen=True)
class Case:
    """Contestants that take turns at the same work."""

    name: str
    title: str
    unit: str
    """What the seconds are by: `step`, `token`, `reading`."""
    contestants: tuple[Contestant, ...]
    flops: float | None = None
    """Operations of one unit of the work that none can do without."""
    repetitions: int = 5
    curve: tuple[str, float] | None = None
    """The curve that the case is a point of, and its place on it."""
    as_it_is: bool = False
    """Whether threads are to wait as they do by themselves, since that is what is measured."""
    shape: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the results tell of the work."""


class WorkerFailedError(RuntimeError):
    """A worker that could not start or stopped, with its last words."""


class Running:
    """A worker's process, as a context manager."""

    def __init__(self, worker: Worker, environment: Environment, threads: Threads, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        # Lives as long as the process does, so `close` closes it and not a `with` here.
        self._errors = log.open("w")
        self._process = subprocess.Popen(
            [environment.python, "-m", worker.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment.variables(threads),
            # Where no file of this checkout shadows what an older one brings.
            cwd=cache(),
            text=True,
            bufsize=1,
        )
        try:
            self._write(worker.settings)
            self.facts: dict[str, Any] = self._read()["ready"]
        except BaseException:
            self.close()
            raise

    def begin(self, action: str) -> None:
        """Let it work; `end` waits for it."""
        self._write({"action": action})

    def end(self) -> float:
        """Seconds by the unit of the work that was begun."""
        return self._read()["seconds"]

    def memory(self) -> int | None:
        """The most bytes that it has had in memory until now."""
        self._write({"action": "memory"})
        return self._read()["bytes"]

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
        except BrokenPipeError:
            raise self._failure() from None

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        return json.loads(line)

    def _failure(self) -> WorkerFailedError:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return WorkerFailedError(f"{lines[-1] if lines else 'it said nothing'} (all of it: {self._log})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process: it ends by itself when nothing more can come."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


class Started:
    """The workers of one case, each started once, however many contestants share it."""

    def __init__(self, stack: ExitStack, environments: Mapping[str, Environment], threads: Threads) -> None:
        self._stack, self._environments, self._threads = stack, environments, threads
        self._running: dict[str, Running] = {}
        self._number = 0

    def worker(self, worker: Worker) -> Running:
        """Its process; raises WorkerFailedError where it does not start."""
        found = self._running.get(worker.key)
        if found is None:
            self._number += 1
            name = f"{worker.module.removeprefix('benchmarks.')}-{self._number}.log"
            environment = self._environments.get(worker.environment)
            if environment is None:
                raise WorkerFailedError("its environment could not be made")
            running = Running(worker, environment, self._threads, cache() / "logs" / name)
            found = self._running[worker.key] = self._stack.enter_context(running)
        return found
