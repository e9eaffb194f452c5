"""`symptoms` in the test's own process, for tests of what a command says and writes.

A process of its own imports the SDK, torch and scikit-learn anew, which takes seconds; this one has them.
What a process alone can show, such as its death or its peak memory, is tested with `training_runs.run`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from symptoms.cli import main
from symptoms.service import LocalServer, connection
from training_runs import environment


def in_process(
    folder: Path,
    *arguments: str,
    server: LocalServer | None = None,
    settings: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """The command with these arguments in the folder, and how it ended.

    Its local service is `server`, where that is told, instead of one that it starts and stops.
    """
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        wanted = {**environment(folder), **(settings or {})}
        for name in set(os.environ) - set(wanted):
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        if server is not None:
            patch.setattr(connection, "LocalServer", _giving(server))
        patch.setattr(sys, "argv", ["symptoms", *arguments])
        patch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode()), encoding="utf-8"))
        patch.chdir(folder)
        with redirect_stdout(out), redirect_stderr(err):
            code = _exit_code()
    said: list[str] = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(["symptoms", *arguments], code, *said)


@contextmanager
def server_over(folder: Path, base_model: str) -> Generator[LocalServer]:
    """A server over the folder's checkpoints, started as a command there starts its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        server = LocalServer(base_model)
    with server:
        yield server


def _giving(server: LocalServer) -> Callable[[str], AbstractContextManager[LocalServer]]:
    """Stands in for starting a server."""
    return lambda _base_model: nullcontext(server)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
