"""Requests made from the API's own description."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFIGURATION = """
[checks.positive_data_acceptance]
# White space is text by the schema, but no description; neither is what the model has no room for.
expected-statuses = [200, 404, 413, 422]
"""


def test_the_api_is_as_its_description_says(web_url: str, tmp_path: Path):
    """No request made from it, valid or not, gets what the description does not have."""
    file = tmp_path / "schemathesis.toml"
    file.write_text(CONFIGURATION)
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis", "--config-file", file, "run",
            f"{web_url}/openapi.json", "--phases", "examples,coverage,fuzzing", "--max-examples", "8",
            "--seed", "0", "--request-timeout", "240", "--generation-deterministic",
            "--workers", "2", "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
