"""The tutorial does what it says: its commands, taken from the page itself, in their order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT
from waiting import PATIENCE, wait_until

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "8000"
"""The port of the page; the test takes one that is free in its place."""


@dataclass(frozen=True)
class Block:
    """A fenced block of the page: its language, `sh` or `python`, and its lines."""

    language: str
    code: str

    @property
    def serves(self) -> bool:
        """Whether it goes on until Ctrl-C."""
        return "symptoms serve" in self.code


def blocks_of(page: str) -> list[Block]:
    return [Block(language, code) for language, code in BLOCK.findall(page)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the data of the repository, as the page has it."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    return tmp_path


def test_the_tutorial_has_every_step_of_the_way():
    """From data over training and measuring to serving: a block that is no longer fenced would not be run."""
    commands = " ".join(block.code for block in blocks_of(PAGE.read_text(encoding="utf-8")))
    wanted = (
        "data stats",
        "data preview",
        "tokens",
        "data split",
        "train",
        "runs show",
        "evaluate",
        "assess",
        "serve",
    )
    assert [one for one in wanted if f"symptoms {one} " not in commands] == []
    assert "Classifier.load" in commands
    assert "curl" in commands


@pytest.mark.skipif(shutil.which("curl") is None, reason="its last commands need curl, which is not here")
def test_the_tutorial_can_be_followed(folder: Path):
    """Each block ends well, one after the other in one folder; what is served answers until Ctrl-C."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SYMPTOMS_BASE_MODEL"},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TINKER_LOCAL_HOME": str(folder / "home"),
    }
    serving: subprocess.Popen[bytes] | None = None
    said: list[str] = []
    try:
        for block in blocks_of(PAGE.read_text(encoding="utf-8")):
            code = block.code.replace(PORT, port)
            if block.serves:
                serving = subprocess.Popen(["bash", "-c", f"exec {code}"], cwd=folder, env=environment)
                _wait_for(port)
                continue
            said.append(_run(block.language, code, folder, environment))
    finally:
        if serving is not None:
            serving.send_signal(signal.SIGINT)
            assert serving.wait(PATIENCE) in (0, 130)
    whole = "\n".join(said)
    assert "Primary concern: Panic Disorder" in whole
    assert (folder / "runs" / "four" / "report.html").exists()
    accuracy = re.search(r"likeliest label is\s+right in\s+(0\.\d+)", whole)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.4, "guessing among four is right in 0.25"
    assert '"leading"' in said[-1]


def _run(language: str, code: str, folder: Path, environment: dict[str, str]) -> str:
    if language == "python":
        command = [sys.executable, "-c", code]
    else:
        command = ["bash", "-euo", "pipefail", "-c", f"{code}\nenv -0 > .environment"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    if language == "sh":  # what a block exports holds in the next one, as in one terminal
        lines = (folder / ".environment").read_text().split("\0")
        environment.update(dict(line.split("=", 1) for line in lines if "=" in line))
    return done.stdout


def _wait_for(port: str) -> None:
    wait_until(lambda: _answers(port), "what the page serves to answer")


def _answers(port: str) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", int(port))) == 0
