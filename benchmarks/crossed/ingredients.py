"""What every trainer gets: a small random Llama, eight texts, and the A that its adapter begins with.

Nothing of ours is imported here, since workers of other environments read it, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STEPS, RANK, SCALE = 12, 8, 4.0
RATE, BETAS, EPS = 1e-3, (0.9, 0.95), 1e-8
SAID = "SAID "
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TEXTS = (
    "I lie awake until three.",
    "Dogs. Any dog, even a puppy on a leash across the road, and I am up a wall or into traffic.",
    "Nothing tastes of anything since the autumn, and I stopped calling my sister back.",
    "My heart races in lifts, and only there.",
    "I count the stairs, and when I lose count I go down and begin again, four times this morning.",
    "Tired.",
    "Since the accident every braking car sends me to the kerb, and at night I hear the glass again.",
    "I eat nothing all day and then everything in the cupboard, standing, with the light off.",
)


def layer_names(blocks: int) -> list[str]:
    """The adapted layers as a checkpoint of transformers names them."""
    return [
        f"model.layers.{block}.{'self_attn' if layer in LAYERS[:4] else 'mlp'}.{layer}"
        for block in range(blocks)
        for layer in LAYERS
    ]


def tell(losses: list[float], **facts: Any) -> None:
    """Hand the losses of all steps, each taken before its update, to the program that asked."""
    print(SAID + json.dumps({"losses": losses, **facts}))


def folder() -> Path:
    """Where the model (`model`) and the first matrices (`first.safetensors`) lie."""
    return Path(sys.argv[1])
