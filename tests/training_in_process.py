"""`symptoms train` in this process, on a server that runs already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from symptoms.cli.app import app
from symptoms.service import LocalServer
from training_runs import HELD_OUT_WORDS, write_examples

Train = Callable[..., str]


@pytest.fixture
def trained(
    tmp_path: Path,
    server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Train:
    """The command, or another one, in a folder of its own with `train.jsonl` and `dev.jsonl`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    write_examples(tmp_path / "train.jsonl", 10)
    write_examples(tmp_path / "dev.jsonl", 5, words=HELD_OUT_WORDS)

    def command(*arguments: str, data: bool = True, to: str = "train") -> str:
        options = ["--service", server.url, "--base-model", server.base_model] if to == "train" else []
        options += ["--data", "train.jsonl"] if data and to == "train" else []
        capsys.readouterr()
        app([to, *options, *arguments], standalone_mode=False)
        return capsys.readouterr().out

    return command
