#!/usr/bin/env bash
# PEFT 0.21.2: `add_weighted_adapter` with `combination_type="linear"` does not give the linear combination of what the
# adapters do. It adds their matrices, each times the root of its weight: (sum of root(w) B) (sum of root(w) A), which holds
# each adapter's own product with its weight and, beside it, every product of one adapter's B with another's A. For adapters
# that were trained apart these are noise as large as what was asked for. With one adapter alone it is exact. Weights of -1, to
# take an adapter away, do not take it away either. `cat` gives the combination to the last digits, at the sum of the ranks,
# and `svd` its best fit at the rank of one.
#
# Seen: PEFT 0.21.2 with torch 2.13.0 and transformers 5.23.0, two random adapters of rank 4 on a layer of 32 x 32, the
# distance from the weighted sum of their changes over its size:
#     halves of both   linear 0.98   cat 0.0000001   svd 0.47   one alone 0.0
#     one less the other   linear 1.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile peft==0.21.2 torch==2.13.0 transformers==5.23.0
cat > "$folder/merge.py" <<'PYTHON'
import sys

import torch
from peft import LoraConfig, get_peft_model

torch.manual_seed(0)
config = LoraConfig(r=4, lora_alpha=8, target_modules=["0"], init_lora_weights=False)
model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(32, 32)), config, adapter_name="first")
model.add_adapter("second", config)


def change(name):
    """What an adapter adds to the layer's weight."""
    return model.base_model.model[0].get_delta_weight(name).detach()


def distance(name, adapters, weights, kind):
    model.add_weighted_adapter(adapters, weights, name, combination_type=kind)
    wanted = sum(weight * change(one) for weight, one in zip(weights, adapters))
    return float((change(name) - wanted).norm() / wanted.norm())


both = ["first", "second"]
linear = distance("linear", both, [0.5, 0.5], "linear")
cat = distance("cat", both, [0.5, 0.5], "cat")
svd = distance("svd", both, [0.5, 0.5], "svd")
alone = distance("alone", ["first"], [0.5], "linear")
less = distance("less", both, [1.0, -1.0], "linear")
print(f"halves of both: linear {linear:.2f} cat {cat:.7f} svd {svd:.2f}, one alone {alone:.7f}")
print(f"one less the other: linear {less:.2f}")
as_described = linear > 0.7 and less > 0.7 and cat < 1e-5 and alone < 1e-5 and 0.1 < svd < linear
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/merge.py"
