"""Which revision of this code a run was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_revision() -> str | None:
    """The revision of this code, marked where files were changed; None where it is not in a repository."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
