"""The child's side of a benchmark: a warm process that does one piece of work whenever it is told to.

Lines of JSON come by standard input: first the settings, then one request at a time. Between requests the
process sleeps, so that only one of many computes. Answers go out by what was standard output; whatever
libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """What a worker can do once it is warm."""

    actions: Mapping[str, Callable[[], float]]
    """By name: does the work once and returns its seconds by the unit of its case, such as a step."""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the results tell of it: versions, threads, the first loss."""
    pid: int | None = None
    """The process whose memory counts, where it is not this one."""


def serve(prepare: Callable[[Settings], Prepared]) -> None:
    """Prepare by the first line, then work through the others until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lines = iter(sys.stdin.readline, "")

    def answer(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")

    prepared = prepare(json.loads(next(lines)))
    answer(ready=dict(prepared.facts))
    for line in lines:
        request = json.loads(line)
        if request["action"] == "memory":
            answer(bytes=peak_memory(prepared.pid))
        else:
            answer(seconds=prepared.actions[request["action"]]())


def peak_memory(pid: int | None = None) -> int | None:
    """The most bytes that a process has had in memory; None where this system does not tell of another.

    Nor of one that has ended and that its parent has not asked about yet.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 if "VmHWM" in fields else None
    # In bytes on macOS, in KiB elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit if pid is None else None
