"""The server's memory does not grow with what it has done.

MEMORY_STEPS and MEMORY_SESSIONS in the environment ask for more than the suite has time for.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from raw_client import RawClient, ServerProcess, tokens_of_step

STEPS = int(os.environ.get("MEMORY_STEPS", "600"))
SESSIONS = int(os.environ.get("MEMORY_SESSIONS", "60"))
WARM_UP = 100
GROWTH = 1 + min(0.10, 0.00005 * STEPS)
"""20 KiB a step, which would soon be the machine's memory, are too much already among 600."""


def resident(server: ServerProcess) -> int:
    return psutil.Process(server.pid).memory_info().rss


def whole_session(server: ServerProcess) -> None:
    """Everything that a session can leave behind: a run, a gradient, a step, a sampler, results."""
    with RawClient(server) as client:
        run = client.create()
        run.step(tokens_of_step(0))
        run.snapshot()
        client.finish()


def test_memory_stays_where_it_was(tiny_model: Path, tmp_path: Path):
    """Hundreds of steps, and then dozens of sessions, leave the resident size within three hundredths."""
    with ServerProcess(tiny_model, tmp_path) as server, RawClient(server) as client:
        whole_session(server)
        run = client.create()
        for step in range(WARM_UP):
            run.step(tokens_of_step(step))
        before = resident(server)
        for step in range(STEPS):
            run.step(tokens_of_step(step))
        after_steps = resident(server)
        for _ in range(SESSIONS):
            whole_session(server)
        after_sessions = resident(server)
        print(f"{before / 2**20:.1f} MiB, {after_steps / 2**20:.1f}, {after_sessions / 2**20:.1f}")
        assert after_steps < GROWTH * before
        assert after_sessions < GROWTH * before
