"""Which of a run's evaluations on dev belongs to the weights that are used."""

from collections.abc import Sequence
from typing import Any

LAST = "last"
CHOSEN = ("best", LAST)
"""Kinds of checkpoints with the weights to use: where dev was lowest, or those of the last evaluation."""


def evaluation_of_used_weights(evaluations: Sequence[dict[str, Any]], best_by: str) -> dict[str, Any] | None:
    """The line of dev_metrics.jsonl for the weights that a run uses, by its `best_by`; None without any."""
    if not evaluations:
        return None
    if best_by == LAST:
        return evaluations[-1]
    # An older run may not have kept the measure.
    measure = best_by if all(best_by in line for line in evaluations) else "dev_loss"
    return min(evaluations, key=lambda line: line[measure])
