"""The `tinker` command of SDK 0.38.0 against the server: runs and checkpoints listed, one deleted.

Usage: python tests/clients/tinker_cli.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from environments import BASE_MODEL, BUILD, ROOT, client_settings, environment, run, serve

VERSION = "0.38.0"
DRIVER = Path(__file__).with_name("drive_sdk.py")
# The command has no list of sessions, so the SDK's own client is asked for it.
LIST_SESSIONS = "import tinker; print(len(tinker.RestClient().list_sessions().result().sessions))"


def main() -> None:
    """Call the commands one after another, and exit with a sentence at the first that fails."""
    python = environment(VERSION, [f"tinker=={VERSION}"])
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as url:
        # A folder of its own: the command keeps its login there, and must not read the user's.
        config = BUILD / "cli-home"
        config.mkdir(parents=True, exist_ok=True)
        settings = {**client_settings(url), "HOME": str(config), "XDG_CONFIG_HOME": str(config)}

        def called(*command: str | Path) -> str:
            outcome = run(list(command), settings, ROOT, 120)
            if outcome.status != 0:
                print(outcome.output)
                sys.exit(f"{' '.join(map(str, command[1:]))} ended with status {outcome.status}.")
            return outcome.output

        def asked(*arguments: str) -> Any:
            # The SDK's notices may come before the answer, which is one JSON object.
            output = called(python.with_name("tinker"), "--format", "json", *arguments)
            return json.loads(output[output.index("{") :])

        def told(what: str, holds: bool, result: str) -> None:
            print(f"{what:<40} {result}", flush=True)
            if not holds:
                sys.exit(f"{what} did not answer what it should.")

        print(called(python.with_name("tinker"), "version").strip())
        called(python, DRIVER, url, BASE_MODEL)
        runs = asked("run", "list")["runs"]
        ids = [one["training_run_id"] for one in runs]
        told("tinker run list", len(ids) == 2, f"{len(ids)} runs")
        checkpoints = asked("checkpoint", "list")["checkpoints"]
        paths = sorted(one["tinker_path"] for one in checkpoints)
        told("tinker checkpoint list", len(paths) == 2, f"{len(paths)} checkpoints")
        info = asked("run", "info", paths[0].removeprefix("tinker://").split("/")[0])
        told("tinker run info", info["base_model"] == BASE_MODEL, f"{info['base_model']}")
        shown = asked("checkpoint", "info", paths[0])
        told("tinker checkpoint info", shown["tinker_path"] == paths[0], shown["checkpoint_type"])
        state = next(path for path in paths if "/weights/" in path)
        with tempfile.TemporaryDirectory() as out:
            fetched = asked("checkpoint", "download", state, "--output", out)
            files = sorted(file.name for file in Path(fetched["destination"]).iterdir())
            whole = files == ["adapter_config.json", "adapter_model.safetensors"]
            told("tinker checkpoint download", whole, ", ".join(files))
        called(python.with_name("tinker"), "checkpoint", "delete", "--yes", paths[0])
        left = [one["tinker_path"] for one in asked("checkpoint", "list")["checkpoints"]]
        told("tinker checkpoint delete --yes", left == paths[1:], f"{len(left)} checkpoint left")
        sessions = called(python, "-c", LIST_SESSIONS).split()[-1]
        told("RestClient.list_sessions", sessions == "1", f"{sessions} session alive")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"The SDK could not be installed (pip ended with status {error.returncode}).")
