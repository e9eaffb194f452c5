"""From where a run can be resumed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What is needed to go on after `step`: the state of adapter and optimizer, and which weights are kept.

    Those of `kept_step` are the best so far, or the last that were evaluated, as `best_by` says; `best_loss`
    is the lowest in either case.
    """

    step: int = 0
    state: str | None = None
    kept_step: int | None = None
    best_loss: float | None = None
    kept_checkpoint: str | None = None
    evaluations_since_best: int = 0
