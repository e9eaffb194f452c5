"""Learning-rate schedules as fractions of the peak rate."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine", "wsd"]
"""`wsd` is warm-up, stable, decay (Hu et al. 2024, MiniCPM), with a linear decay."""


def fraction_of_peak(
    schedule: Schedule, step: int, num_steps: int, warmup_steps: int = 0, decay_fraction: float = 0.2
) -> float:
    """The fraction of the peak learning rate at a step, counted from 1.

    The warm-up rises linearly and reaches the peak at step `warmup_steps`. All but `constant` then fall
    towards zero, which they would reach at the step after the last: `wsd` does so in its last
    `decay_fraction` of all steps, the others from the warm-up on.
    """
    if step <= warmup_steps:
        return step / warmup_steps
    done = (step - 1 - warmup_steps) / (num_steps - warmup_steps)
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1 - done
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    decay_steps = max(1, round(decay_fraction * num_steps))
    return min(1.0, (num_steps - step + 1) / decay_steps)
