"""Where benchmarks keep what is large and can be made again: beside the repository, in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TRIALS = ROOT / "build" / "benchmarks"
"""Where quick runs put their results: they are no figures to keep."""


def cache() -> Path:
    """The folder of environments and models: BENCHMARKS_CACHE, or the user's cache directory."""
    chosen = os.environ.get("BENCHMARKS_CACHE")
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("tinker-local-benchmarks"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
