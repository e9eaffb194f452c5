"""The local server as a child process that cannot outlive its parent."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
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
        self._stopping = False
        self._death: str | None = None
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
            raise ServiceError(f"The local server could not start: {self._last_words()}")
        url = line.split()[-1]
        self._url = url
        return url

    @property
    def pid(self) -> int:
        return self._process.pid

    def interrupt_when_it_dies(self) -> None:
        """From now on, end this process's main thread with SIGINT if the server ends by itself.

        The SDK would go on asking a dead server for minutes. `died` then tells the reason.
        """
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def died(self) -> str | None:
        """Why the server ended by itself, or None where it did not."""
        return self._death

    def _watch(self) -> None:
        self._process.wait()
        if not self._stopping:
            self._death = f"The local server ended while it was in use: {self._last_words()}"
            # To the main thread itself, since only that wakes it where it waits for a result.
            main_thread = threading.main_thread().ident
            assert main_thread is not None
            signal.pthread_kill(main_thread, signal.SIGINT)

    def stop(self) -> None:
        """End the process, by force if it does not go by itself."""
        self._stopping = True
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

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        reason = lines[-1] if lines else f"it left no word (status {self._process.returncode})"
        return reason.removeprefix("tinker-local: ")
