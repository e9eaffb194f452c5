"""The file of one run: JSON, case by case, so that a single case can be measured again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.places import ROOT


def read(path: Path) -> dict[str, Any]:
    """A run's results; empty ones where there is no file yet."""
    return json.loads(path.read_text()) if path.exists() else {"run": path.stem, "cases": {}}


def write(path: Path, results: dict[str, Any]) -> None:
    """Whole or not at all, since a run takes long and is sometimes stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n")
    part.replace(path)


def commit() -> str:
    """The last commit of the engine's source, marked where what is measured differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], stdout=subprocess.PIPE, text=True, check=False
        )
        return done.stdout.strip()

    return (git("log", "-1", "--format=%h", "--", "src") or "unknown") + (
        " with changes" if git("diff", "HEAD", "--", "src") else ""
    )
