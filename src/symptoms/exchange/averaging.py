"""Runs of the local service as one: `tinker-local average` makes the checkpoint, and a run is made of it."""

import subprocess
import sys
from collections.abc import Sequence
from uuid import uuid4

from symptoms.errors import RunError
from symptoms.runs import RunDirectory, average_runs, check_alike
from symptoms.service import LOCAL
from symptoms.shipped import FOLDER as SHIPPED


def average(name: str, runs: Sequence[RunDirectory], rank: int | None) -> tuple[RunDirectory, str]:
    """A new run in runs/ with the mean of these runs' weights, and what it is like, in words.

    `rank` is that of its adapter, by default the sum of theirs, which is exact. Raises RunError where the
    runs are not alike or their weights are elsewhere, or where `tinker-local average` has told a fault.
    """
    RunDirectory.check_name(name)
    check_alike(runs)
    elsewhere = next((run for run in runs if run.manifest()["service"] != LOCAL), None)
    if elsewhere is not None:
        raise RunError(
            f"The weights of {elsewhere.name} are not on the local service; download them "
            "('tinker checkpoint download'), and average what 'tinker-local import' makes of them."
        )
    # No other average is called so, whatever the runs here and in other folders are called.
    owner = f"average-{uuid4().hex}"
    command = [sys.executable, "-m", "tinker_local", "average", owner]
    command += [run.final_checkpoint() for run in runs]
    command += ["--adapters", str(SHIPPED), "--signed-as", "symptoms"]
    command += [] if rank is None else ["--rank", str(rank)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RunError(f"No average was made of {', '.join(run.name for run in runs)}; see above why.")
    joined = average_runs(name, runs, f"tinker://{owner}/sampler_weights/1")
    return joined, done.stdout.splitlines()[0]
