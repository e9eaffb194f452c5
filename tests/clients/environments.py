"""What the client checks share: environments of their own under build/clients, and a server to talk to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "clients"
BASE_MODEL = "symptoms-base"
API_KEY = "tml-clients"


@dataclass(frozen=True)
class Outcome:
    """A finished command: its status, everything it wrote, and how long it took."""

    status: int
    output: str
    seconds: float

    @property
    def reason(self) -> str:
        """Its last line, which in most programs says what was wrong."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"status {self.status}, no output"


def environment(name: str, *pip_arguments: Sequence[str]) -> Path:
    """The interpreter of a virtual environment; each list of arguments is one run of pip.

    An environment is marked once it is whole, so that a broken installation is made again.
    """
    folder = BUILD / name
    python = folder / "bin" / "python"
    mark = folder / "installed"
    wanted = repr(pip_arguments)
    if mark.exists() and mark.read_text() == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    for arguments in pip_arguments:
        subprocess.run(
            [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments], check=True
        )
    mark.write_text(wanted)
    return python


@contextmanager
def serve(home: Path, base_model: str = BASE_MODEL, cwd: Path = ROOT) -> Generator[str, None, None]:
    """A server of this checkout, in the interpreter that runs this; gives its URL."""
    command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", base_model, "--port", "0"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TINKER_LOCAL_API_KEY": API_KEY}
    settings["TINKER_LOCAL_HOME"] = str(home)
    process = subprocess.Popen(
        [*command, "--stop-with-stdin"],
        env=settings,
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " ready at " not in line:
            sys.exit(f"The server did not start: {line}")
        try:
            yield line.split()[-1]
        finally:
            process.terminate()


def client_settings(url: str) -> dict[str, str]:
    """The process environment of a client: this server, no telemetry, no download from the hub."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **kept,
        "TINKER_BASE_URL": url,
        "TINKER_API_KEY": API_KEY,
        "TINKER_TELEMETRY": "0",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def run(command: list[str | Path], settings: dict[str, str], cwd: Path, limit: float = 300) -> Outcome:
    """Run a command to its end or its limit. Its words are kept, whatever its status."""
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            env=settings,
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
        )
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        # Bytes, although the rest is text, and cut off anywhere.
        said = (error.stdout or b"").decode(errors="replace")
        status, output = 124, f"{said}\nstopped after {limit:.0f} s"
    return Outcome(status, output, time.monotonic() - started)
