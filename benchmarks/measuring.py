"""Run a case: contestants take turns, repetition by repetition, and the matrix rate is taken among them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from benchmarks.contestants import Case, Contestant, Running, Started, Worker, WorkerFailedError
from benchmarks.environments import Environment, Threads
from benchmarks.machine import FLOPS

MATRIX = Worker("benchmarks.machine", {})
LOSSES_AGREE = 1.01
"""bfloat16 rounds, and moves a mean over tokens by far less than this."""
TYPES = ("float32", "bfloat16")


def measure(
    case: Case, environments: Mapping[str, Environment], repetitions: int, threads: Threads
) -> dict[str, Any]:
    """The case's part of the results: seconds of each repetition, memory, versions, the machine's rate.

    Before what counts, all do their work once.
    """
    if case.as_it_is:
        threads = replace(threads, sleep=False)
    began, load = datetime.now(UTC), os.getloadavg()
    with ExitStack() as stack:
        started = Started(stack, environments, threads)
        matrix = started.worker(MATRIX)
        rows: list[dict[str, Any]] = []
        ready: list[tuple[Contestant, list[Running], dict[str, Any]]] = []
        for contestant in case.contestants:
            row: dict[str, Any] = {"name": contestant.name, "seconds": []}
            rows.append(row)
            try:
                running = [started.worker(each) for each in (contestant.worker, *contestant.also)]
                _together(running, contestant.action)
            except WorkerFailedError as error:
                print(f"  {contestant.name}: {error}", file=sys.stderr)
                row["failed"] = str(error)
                continue
            row |= running[0].facts
            ready.append((contestant, running, row))
        losses = [row["loss"] for _, _, row in ready if "loss" in row]
        if losses and max(losses) > LOSSES_AGREE * min(losses):
            print(f"  The first losses differ, so this is not the same work: {losses}", file=sys.stderr)
        rates: dict[str, list[float]] = {name: [] for name in TYPES}
        for number in range(repetitions):
            print(f"  {number + 1} of {repetitions}", file=sys.stderr, flush=True)
            for name in TYPES:
                matrix.begin(name)
                rates[name].append(FLOPS / matrix.end())
            for contestant, running, row in ready:
                row["seconds"].append(_together(running, contestant.action))
        for _, running, row in ready:
            row["peak_bytes"] = running[0].memory()
    return {
        "title": case.title,
        "unit": case.unit,
        "shape": dict(case.shape),
        "curve": case.curve,
        "flops": case.flops,
        "date": began.isoformat(timespec="seconds"),
        "load_before": [round(each, 2) for each in load],
        "threads_told": asdict(threads),
        "matrix_flops": rates,
        "matrix_threads": matrix.facts["threads"],
        "contestants": rows,
    }


def _together(running: list[Running], action: str) -> float:
    """Seconds of the slowest of those that work at the same time."""
    for each in running:
        each.begin(action)
    return max([each.end() for each in running])
