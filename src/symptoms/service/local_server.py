"""The local server as a child process that cannot outlive its parent."""

import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import IO, Self

from symptoms.errors import ServiceError
from symptoms.shipped import FOLDER as SHIPPED

SERVER_STOP_SECONDS = 5.0
LOOK_SECONDS = 0.2
MOST_WORDS = 1 << 20
"""Bytes of the server's standard error that are looked at."""
NEWS = "tinker-local is "
"""How lines on the server's standard error begin that tell what its start has to wait for."""


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
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", base_model]
        command += ["--port", "0", "--stop-with-stdin", "--adapters", str(SHIPPED)]
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
        self._pass_news_on(self._process.stdout)
        line = self._process.stdout.readline()
        if " ready at " not in line:
            self.stop()
            raise ServiceError(f"The local server could not start: {self._last_words()}")
        url = line.split()[-1]
        self._url = url
        return url

    @property
    def pid(self) -> int:
        """The child's process id; once it has been stopped, the system may give it to another process."""
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
            self._process.wait(SERVER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._errors.close()

    def _pass_news_on(self, output: IO[str]) -> None:
        """Wait for the first line of the output; what the server tells until then is told to the user."""
        told = 0
        while True:
            is_there = bool(select.select([output], [], [], LOOK_SECONDS)[0])
            lines = self._lines()
            # The last one may still be in the making.
            whole = [line for line in lines if line.endswith("\n")]
            for line in whole[told:]:
                if line.startswith(NEWS):
                    sys.stderr.write(line)
            told = len(whole)
            if is_there:
                return

    def _lines(self) -> list[str]:
        # Read at a place of its own, since the server writes where this file's position is.
        written = os.pread(self._errors.fileno(), MOST_WORDS, 0)
        return written.decode(errors="replace").splitlines(keepends=True)

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._lines() if line.strip() and not line.startswith(NEWS)]
        reason = lines[-1] if lines else f"it left no word (status {self._process.returncode})"
        return reason.removeprefix("tinker-local: ")
