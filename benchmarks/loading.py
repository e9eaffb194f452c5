"""How long a base model in a GGUF file takes to load, and how much memory, beside the same in safetensors.

    python benchmarks/loading.py MODEL.gguf

Run it alone on the machine, with room for a conversion under TMPDIR. Each figure is the median of processes
that load the model and read one prompt; memory is what each takes on top of what its imports had taken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROUNDS = 5
SCRIPT = """
import json, resource, sys, time
import psutil, torch
from tinker_local.loading import load_base_model

before = psutil.Process().memory_info().rss
started = time.perf_counter()
base = load_base_model(sys.argv[1], "float32", torch.device("cpu"))
seconds = time.perf_counter() - started
# Weights are mapped from their file, so they are in memory once they have been used.
with torch.inference_mode():
    base.model.logits(base.model.hidden(torch.arange(8)[None]))
# In bytes on macOS, in KiB elsewhere.
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
weights = sum(weight.nbytes for weight in base.model.weights.values())
print(json.dumps([str(base.folder), seconds, peak - before, weights]))
"""


def load(model: str, home: str) -> tuple[str, float, float]:
    """The folder that was loaded, the seconds it took, and the most memory as a multiple of the weights."""
    environment = {**os.environ, "TINKER_LOCAL_MODELS": home}
    command = [sys.executable, "-c", SCRIPT, model]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    folder, seconds, memory, weights = json.loads(done.stdout)
    return folder, seconds, memory / weights


def main() -> None:
    """Load the file for the first time, again, and as safetensors, in turn, and print the medians."""
    source = str(Path(sys.argv[1]).resolve())
    figures: dict[str, list[tuple[float, float]]] = {"first": [], "second": [], "safetensors": []}
    # In turns, so that a noisy moment falls on all three.
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home:
            folder, *first = load(source, home)
            figures["first"].append((first[0], first[1]))
            for name, model in (("second", source), ("safetensors", folder)):
                _, seconds, memory = load(model, home)
                figures[name].append((seconds, memory))
    for name, measured in figures.items():
        seconds, memory = (median(column) for column in zip(*measured, strict=True))
        print(f"{name}: {seconds:.2f} s, {memory:.2f} times the weights")


if __name__ == "__main__":
    main()
