"""Worker: log-probabilities of single tokens behind prompts, by mlx-lm with an adapter beside or fused in."""

from __future__ import annotations

import json
import sys

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.utils import load

from benchmarks.crossed.ingredients import SAID, folder


def main() -> None:
    """Read `asked.json` in the folder of the first argument; the second says `fused` or otherwise."""
    mx.set_default_device(mx.cpu)
    model, _ = load(str(folder() / "model"), adapter_path=str(folder() / "mlx"))
    if sys.argv[2] == "fused":
        # As mlx_lm.fuse does.
        fused = [(name, module.fuse()) for name, module in model.named_modules() if hasattr(module, "fuse")]
        model.update_modules(tree_unflatten(fused))
    prompts, lines = json.loads((folder() / "asked.json").read_text())
    scores: list[list[float]] = []
    for prompt, wanted in zip(prompts, lines, strict=True):
        logprobs = nn.log_softmax(model(mx.array([prompt["tokens"]]))[0, -1].astype(mx.float32))
        scores.append([logprobs[line[0]].item() for line in wanted])
    print(SAID + json.dumps({"scores": scores}))


if __name__ == "__main__":
    main()
