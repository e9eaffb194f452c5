"""`symptoms train` on a few short examples, which the tiny model has room for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLOURS = ("red", "green", "blue", "grey")
WORDS = ("sleep", "fear", "crowds", "counting", "food", "news", "dogs", "work")


HELD_OUT_WORDS = ("nights", "worry", "people", "numbers", "meals", "papers", "cats", "office")


def write_examples(path: Path, count: int, first: int = 0, words: Sequence[str] = WORDS) -> Path:
    """A data set of four conditions of its own, with texts of different lengths; they recur after eight."""
    lines = [
        {
            "input": " ".join(words[(number * step) % 8] for step in range(1, 3 + number % 4)),
            "condition": COLOURS[number % 4],
            "symptoms": ["tired"] if number % 3 else [],
            "recommendation": "Rest." if number % 2 else "Talk to a friend.",
        }
        for number in range(first, first + count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_experiment(path: Path, **config: Any) -> Path:
    """An experiment's file of six short examples."""
    examples = [
        {"input": f"{WORDS[number]} {WORDS[number + 1]}", "output": f"Primary concern: {WORDS[number]}"}
        for number in range(6)
    ]
    path.write_text(json.dumps({"config": config, "examples": examples}))
    return path


def environment(folder: Path) -> dict[str, str]:
    """That of someone without an account, whose checkpoints lie in the folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TINKER_") or name == "TINKER_LOCAL_MODELS"
    }
    # One thread: so small a model gains nothing from more, and they fight over a busy machine.
    own = {"TINKER_LOCAL_HOME": str(folder / "home"), "SYMPTOMS_CACHE": str(folder / "cache")}
    return {**kept, **own, "COLUMNS": "100", "OMP_NUM_THREADS": "1"}


def command(*arguments: str) -> list[str]:
    """`symptoms train` in a process of its own, as it would be started."""
    return [sys.executable, "-m", "symptoms", "train", *arguments]


def run(folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    """A Python program in the folder, until it ends."""
    return subprocess.run(
        [sys.executable, *program],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`symptoms train` in a process of its own, to its end."""
    return run(folder, "-m", "symptoms", "train", *arguments)


def lines_of(folder: Path, name: str, file: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """A run's lines without what differs from one time to the next."""
    lines = [json.loads(line) for line in (folder / "runs" / name / file).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def summary_of(folder: Path, name: str) -> dict[str, Any]:
    """What a run wrote of itself."""
    return json.loads((folder / "runs" / name / "summary.json").read_text())
