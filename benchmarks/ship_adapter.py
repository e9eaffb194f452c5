"""`python -m benchmarks.ship_adapter RUN NAME VERSION`: put a run's final weights among those that ship.

The run is a folder of `symptoms train` on the local service, whose checkpoints are looked for where
`tinker-local` keeps them. What ships is stored in eight bits.
"""

from __future__ import annotations

import sys

import torch

from symptoms.runs import find_run
from symptoms.shipped import FOLDER
from tinker_local.cli import default_home
from tinker_local.loading import load_base_model
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore, parse_path


def main(run: str, name: str, version: str) -> None:
    """Write it to the package's folder, over what was there under this name and version."""
    checkpoint = parse_path(find_run(run).final_checkpoint())
    store = CheckpointStore(default_home())
    base_model = store.info(checkpoint).base_model
    model = load_base_model(base_model, "auto", torch.device("cpu")).model
    _, adapter = store.load(checkpoint, model.config)
    shipped = CheckpointStore(FOLDER.parent)
    path = CheckpointPath(name, "sampler_weights", version)
    card = FOLDER / name / path.kind / version / "README.md"
    told = card.read_bytes() if card.exists() else b""
    # The store keeps runs in a folder of that name, the package in one that says what they are.
    shipped.runs = FOLDER
    info = shipped.save(path, base_model, adapter, overwrite=True, eight_bits=True)
    if told:
        card.write_bytes(told)
        print(f"{card} is of the adapter that was there; make it true of this one.")
    print(f"{info.path}: rank {info.rank}, {shipped.size(parse_path(info.path)) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
