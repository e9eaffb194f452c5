"""Local servers in threads of the test's own process, in place of the processes that a command starts.

Each command that is told no service starts and stops a server, which takes seconds as a process of its own.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from http_in_process import KEY, serving
from symptoms.service import connection


class ServerInThreads:
    """What `LocalServer` is to its users, with weights that are read anew for each."""

    died: str | None = None

    def __init__(self, base_model: str) -> None:
        self.base_model, self.api_key = base_model, KEY
        self._stack = ExitStack()
        home = Path(os.environ["TINKER_LOCAL_HOME"])
        self.url = self._stack.enter_context(serving(Path(base_model), home)).url

    def interrupt_when_it_dies(self) -> None:
        """It cannot die alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def in_threads(patch: pytest.MonkeyPatch) -> None:
    """Have every local service be one of these, as long as the patch lasts."""
    patch.setattr(connection, "LocalServer", ServerInThreads)
