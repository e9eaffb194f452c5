"""Which versions of the Tinker SDK the server speaks to: each one, unmodified, drives one server.

python tests/clients/sdk_versions.py [VERSION ...]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from environments import BASE_MODEL, ROOT, client_settings, environment, run, serve

VERSIONS = ["0.25.0", "0.30.0", "0.34.0", "0.36.0", "0.38.0"]
"""0.25 is the first with protobuf bodies, 0.38 the one that this project pins."""
DRIVER = Path(__file__).with_name("drive_sdk.py")


def main() -> None:
    """Print a table of the versions, and exit with 1 where one fails."""
    rows: list[tuple[str, str, str]] = []
    failed = False
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as url:
        for version in sys.argv[1:] or VERSIONS:
            print(f"--- tinker {version}", flush=True)
            try:
                python = environment(version, [f"tinker=={version}"])
            except subprocess.CalledProcessError as error:
                rows.append((version, f"not installed (pip ended with status {error.returncode})", "-"))
                failed = True
                continue
            outcome = run([python, DRIVER, url, BASE_MODEL], client_settings(url), ROOT)
            print(outcome.output, end="", flush=True)
            failed |= outcome.status != 0
            result = "passed" if outcome.status == 0 else outcome.reason
            rows.append((version, result, f"{outcome.seconds:.1f}"))
    print("\nversion  seconds  outcome")
    for version, result, seconds in rows:
        print(f"{version:<8} {seconds:>7}  {result}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
