"""The programs that put one thing through several tools go by names of ours that are still there."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["trainers", "loaders", "quantisations", "bfloat16_drift", "with_tinker_local"]
)
def test_a_program_of_the_crossing_can_be_loaded(name: str):
    """Nobody runs them on every change, so that a module which moved would be noticed late."""
    assert importlib.import_module(f"benchmarks.crossed.{name}").main
