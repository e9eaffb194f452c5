"""The lab itself beside other versions of the SDK: trains two steps and asks the run, on our own server.

python tests/clients/lab_sdk.py [VERSION ...]

The version is the one thing that an environment has of its own; all else is what this interpreter has.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from environments import BASE_MODEL, ROOT, client_settings, environment, run, serve

VERSIONS = ["0.25.0", "0.34.0", "0.38.0"]
EXAMPLES = 4


def lab_environment(version: str) -> Path:
    """An interpreter with this version of the SDK before everything that this one has."""
    python = environment(f"lab-{version}", ["--no-deps", f"tinker=={version}"])
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    (packages / "zz-lab.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def main() -> None:
    """Print a line for each version, and exit with 1 where one fails."""
    failed = False
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "home") as url:
        lines = (ROOT / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:EXAMPLES]
        data = Path(folder) / "examples.jsonl"
        data.write_text("\n".join(lines) + "\n", encoding="utf-8")
        settings = {**client_settings(url), "PYTHONPATH": str(ROOT / "src"), "SYMPTOMS_CACHE": folder}
        for version in sys.argv[1:] or VERSIONS:
            try:
                lab = [lab_environment(version), "-m", "symptoms"]
            except subprocess.CalledProcessError as error:
                print(f"{version}: not installed (pip ended with status {error.returncode})")
                failed = True
                continue
            name = f"beside-{version}"
            train = ["train", "--data", str(data), "--run", name, "--steps", "2", "--lora-rank", "4"]
            train += ["--service", url, "--base-model", BASE_MODEL]
            outcome = run([*lab, *train], settings, Path(folder))
            if outcome.status == 0:
                ask = ["assess", "--run", name, "--service", url, "I lie awake until three"]
                outcome = run([*lab, *ask], settings, Path(folder))
            failed |= outcome.status != 0
            print(f"{version}: {'trained and asked' if outcome.status == 0 else outcome.reason}", flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
