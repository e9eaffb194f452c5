"""What each part of the recipe is worth: the same short training with one part changed, side by side.

    python pretrain/controls.py --data build/pretrain --corpora ../shared/corpora build/corpora

Every control gets the same budget, counted as parameters times tokens, which is what the computation grows
with; so a smaller model reads more and a larger one less. Interrupted, the same command goes on where it was.
At the end `evidence.py` sets them side by side.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train import CONFIG, llama_config, weight_shapes

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Control:
    """A name for the table, and what differs from the released recipe."""

    name: str
    hidden_size: int = CONFIG.hidden_size
    layers: int = CONFIG.num_hidden_layers
    options: Sequence[str] = ()

    def num_parameters(self) -> int:
        """How many numbers the control's base model has."""
        shapes = weight_shapes(llama_config(self.hidden_size, self.layers)).values()
        return sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)


RELEASED = Control("as-released")
CONTROLS = (
    RELEASED,
    Control("smaller", hidden_size=192, layers=4),
    Control("larger", hidden_size=384, layers=8),
    Control("adamw-alone", options=("--adamw-alone",)),
    Control("no-own-prose", options=("--leave-out", "own_prose", "own_articles")),
    Control("next-token-alone", options=("--meaning-weight", "0")),
)


def run(script: str, *options: str | Path) -> None:
    """Run another script of this folder; raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, HERE / script, *options], check=True)


def main() -> None:
    """Train every control, or go on with it, and set them side by side."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    arguments.add_argument("--corpora", type=Path, nargs="+", required=True)
    arguments.add_argument("--steps", type=int, default=500, help="of the released size")
    arguments.add_argument("--out", type=Path, default=Path("build/controls"))
    options = arguments.parse_args()
    compared: list[str] = []
    for control in CONTROLS:
        folder = options.out / control.name
        steps = round(options.steps * RELEASED.num_parameters() / control.num_parameters())
        print(f"{control.name}: {control.num_parameters():,} parameters, {steps} steps", flush=True)
        where = ("--data", options.data, "--state", folder / "state.pt")
        shape = ("--hidden-size", str(control.hidden_size), "--layers", str(control.layers))
        run("train.py", *where, "--steps", str(steps), *shape, *control.options)
        run("export.py", *where, "--out", folder)
        compared += ["--model", f"{control.name}={folder}"]
    run("evidence.py", "--corpora", *options.corpora, *compared)


if __name__ == "__main__":
    main()
