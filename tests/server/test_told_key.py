"""A server that a person starts says which key its clients need, and shows none that was chosen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_models import write_tiny_llama


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "for clients with TINKER_API_KEY=tml-local, the default that everybody knows"),
        (
            ["--api-key", "tml-of-my-own"],
            "for clients with the key that --api-key or",
        ),
    ],
    ids=["the public one", "one's own"],
)
def test_the_key_that_clients_need_is_told(options: list[str], said: str, tmp_path: Path):
    """On standard error before it is ready, where the default is named and one's own is not written out."""
    write_tiny_llama(tmp_path / "base")
    command = [
        *(sys.executable, "-m", "tinker_local", "serve", "--base-model", str(tmp_path / "base")),
        *("--port", "0", "--home", str(tmp_path / "home"), *options),
    ]
    settings = {name: value for name, value in os.environ.items() if name != "TINKER_LOCAL_API_KEY"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings
    ) as process:
        assert process.stdout is not None
        assert " ready at " in process.stdout.readline()
        process.terminate()
        assert process.stderr is not None
        told = process.stderr.read()
    assert f"tinker-local is {said}" in told
    assert "of-my-own" not in told
