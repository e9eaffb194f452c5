"""The real model that some tests use where it is on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from base_models.places import got_home


def _find_smollm2() -> Path | None:
    chosen = os.environ.get("SMOLLM2_GGUF")
    if chosen:
        return Path(chosen)
    return next(iter(sorted((got_home() / "smollm2-135m").glob("*.gguf"))), None)


SMOLLM2 = _find_smollm2()
"""SmolLM2-135M-Instruct.Q4_1.gguf, from SMOLLM2_GGUF or from where `symptoms models get` puts it."""
needs_smollm2 = pytest.mark.skipif(
    SMOLLM2 is None, reason="smollm2-135m is not on this machine: symptoms models get smollm2-135m"
)
