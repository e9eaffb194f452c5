#!/usr/bin/env bash
# mlx-lm 0.32.2 adapts the last `num_layers` blocks of a model, and -1 stands for all. So does 0, and any other number
# below: the blocks are taken from the end by a negative index, and index -0 is the beginning. Who says 0 for no block, to
# begin with or to have adapters by their `keys` alone, trains every linear layer of every block. Its source takes the
# blocks of `fine_tune_type: full` in the same way.
#
# Seen: mlx-lm 0.32.2 with mlx 0.32.4 on Linux, three blocks of one linear layer each; how many got an adapter:
#     num_layers 1: 1   2: 2   3: 3   0: 3   -1: 3   -2: 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile mlx-lm==0.32.2 mlx==0.32.4 mlx-cpu==0.32.4
cat > "$folder/layers.py" <<'PYTHON'
import sys

import mlx.nn as nn
from mlx_lm.tuner.lora import LoRALinear
from mlx_lm.tuner.utils import linear_to_lora_layers


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(4, 4)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [Block() for _ in range(3)]


adapted = {}
for number in (1, 2, 3, 0, -1, -2):
    model = Model()
    linear_to_lora_layers(model, number, {"rank": 2, "scale": 1.0, "dropout": 0.0})
    adapted[number] = sum(isinstance(block.q_proj, LoRALinear) for block in model.layers)
print(adapted)
as_described = adapted == {1: 1, 2: 2, 3: 3, 0: 3, -1: 3, -2: 3}
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/layers.py"
