#!/usr/bin/env bash
# mlx-lm 0.32.2 trains with MLX's Adam, which does not correct its averages for having begun at zero unless
# `optimizer_config: {adam: {bias_correction: true}}` says so, and AdamW neither. With betas 0.9 and 0.999 and a gradient that
# keeps its sign the first step is 3.16 times the rate, as one may work out. What follows is worse and not better: the
# average of the gradient catches up within ten steps, that of its square takes a thousand, so that steps grow to 6.6 times
# the rate, and the first 600 go 2.4 times as far as those of a corrected Adam, such as torch's, at the same rate. A
# warm-up of 100 steps, which often stands in for the correction, leaves steps of 3.2 times the rate where it ends.
#
# Seen: mlx-lm 0.32.2 with mlx 0.32.4 on Linux, steps of one number whose gradient is always 1, as multiples of the rate:
#     plain      first 3.16  largest 6.57 at step 12  at 100 3.24  at 600 1.49  way of 600 steps 1455
#     corrected  first 1.00  largest 1.00             at 100 1.00  at 600 1.00  way of 600 steps 600
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile mlx-lm==0.32.2 mlx==0.32.4 mlx-cpu==0.32.4
cat > "$folder/steps.py" <<'PYTHON'
import inspect
import sys

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx_lm import lora

RATE = 1e-3


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.number = mx.zeros((1,))


def steps(**settings):
    model, adam, before, taken = One(), optim.Adam(learning_rate=RATE, **settings), 0.0, []
    for _ in range(600):
        adam.update(model, {"number": mx.ones((1,))})
        now = model.number.item()
        taken.append((before - now) / RATE)
        before = now
    return taken


# What the trainer itself makes of a configuration that says nothing of the optimizer.
assert lora.CONFIG_DEFAULTS["optimizer"] == "adam" and lora.CONFIG_DEFAULTS["optimizer_config"]["adam"] == {}
assert "opt_class(learning_rate=lr, **optimizer_config)" in inspect.getsource(lora.train_model)
plain, corrected = steps(), steps(bias_correction=True)
for name, taken in (("plain", plain), ("corrected", corrected)):
    largest = max(taken)
    print(
        f"{name:10} first {taken[0]:.2f}  largest {largest:.2f} at step {taken.index(largest) + 1}"
        f"  at 100 {taken[99]:.2f}  at 600 {taken[599]:.2f}  way of 600 steps {sum(taken):.0f}"
    )
as_described = (
    abs(plain[0] - 3.16) < 0.01
    and max(plain) > 6.5
    and abs(plain[99] - 3.24) < 0.01
    and abs(sum(plain) - 1455) < 2
    and max(abs(one - 1) for one in corrected) < 0.001
)
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/steps.py"
