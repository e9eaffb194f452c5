"""Wheel and source release, each installed in a bare environment and used from outside the checkout.

Usage: python tests/clients/release.py

The experiment is trained for one epoch on the bundled base, and its run is asked: from the wheel by
`symptoms train`, from the unpacked source release by train_mental_health.py as it has it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from environments import BASE_MODEL, ROOT, environment

BUILD_TOOL = "build==1.3.0"
DATA = "mental_health_data.json"
TEXT = "I have not slept properly for weeks"


def main() -> None:
    """Build both, install each, train and ask."""
    python = environment("build", [BUILD_TOOL])
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder) / "dist"
        run([python, "-m", "build", "--outdir", dist, ROOT], Path(folder))
        [wheel], [source] = dist.glob("*.whl"), dist.glob("*.tar.gz")
        for release in (wheel, source):
            place = Path(folder) / release.suffix.strip(".")
            place.mkdir()
            binaries = installed(release, place / "environment")
            if release == wheel:
                shutil.copy(ROOT / DATA, place)
                command = [binaries / "symptoms", "train", "--data", DATA, "--epochs", "1"]
            else:
                with tarfile.open(source) as archive:
                    archive.extractall(place, filter="data")
                place = place / source.name.removesuffix(".tar.gz")
                command = [binaries / "python", "train_mental_health.py", "--set", "epochs=1"]
            run([*command, "--run", "release", "--base-model", BASE_MODEL], place)
            asked = run([binaries / "symptoms", "assess", "--run", "release", "--json", TEXT], place)
            told = json.loads(asked)
            print(f"{release.name}: trained, and its answer has {', '.join(told)}", flush=True)


def installed(release: Path, folder: Path) -> Path:
    """The programs of a new environment with this release, and with what it needs as the lock has it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", release], check=True)
    return folder / "bin"


def run(command: list[str | Path], folder: Path) -> str:
    """What a command prints that is run in a folder, without this checkout on its path."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    settings["TINKER_LOCAL_HOME"] = str(folder / "home")
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, done.stderr, sep="\n")
        sys.exit(f"{' '.join(map(str, command))} ended with status {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    main()
