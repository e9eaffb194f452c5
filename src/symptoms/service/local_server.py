"""The local server as a child process that cannot outlive its parent."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import Self

from symptoms.errors import ServiceError

STOP_SECONDS = 5.0


class LocalServer:
    """A `tinker-local serve` process on a free port of the loopback interface.

    The child stops when its standard input closes. The operating system closes that pipe however this
    process ends, so the server is never left behind.
    """

    def __init__(self, base_model: str) -> None:
        """Start the process and return at once; `url` waits until it is ready."""
        self.base_model = base_model
        self.api_key = f"tml-{secrets.token_urlsafe(24)}"
        self._url: str | None = None
        # Lives as long as the process does, so it is closed in __exit__ and not by a `with` here.
        self._errors = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115
        command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", base_model]
        command += ["--port", "0", "--stop-with-stdin"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # The key goes by the environment, since a command line is visible to every user.
            env={**os.environ, "TINKER_LOCAL_API_KEY": self.api_key},
            # Ctrl-C is for the trainer, which still needs the server to save its last step.
            start_new_session=True,
            text=True,
        )

    @property
    def url(self) -> str:
        """Where the server listens, once it does; raises ServiceError if it cannot start."""
        if self._url is not None:
            return self._url
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if " ready at " not in line:
            self.stop()
            raise ServiceError(self._complaint())
        url = line.split()[-1]
        self._url = url
        return url

    def stop(self) -> None:
        """End the process, by force if it does not go by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._errors.close()

    def _complaint(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        reason = lines[-1] if lines else f"it ended with status {self._process.returncode}"
        return f"The local server could not start: {reason.removeprefix('tinker-local: ')}"
