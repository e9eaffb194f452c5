"""One training step on the service: gradients of its batches, and the optimizer's update.

Each is `forward_backward` and `optim_step`, as in train_mental_health.py. Nothing is awaited here: the
service works in the order of submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symptoms.settings import TrainingSettings

if TYPE_CHECKING:
    import tinker


@dataclass(frozen=True)
class StepFutures:
    """The SDK's futures of a step: of the gradients of each batch, and of the update."""

    gradients: Sequence[Any]
    update: Any


def submit_step(
    training: tinker.TrainingClient, batches: Sequence[list[tinker.Datum]], adam: tinker.AdamParams
) -> StepFutures:
    """Have the gradients of all batches gathered, and then spent by one update of the optimizer."""
    gradients = [training.forward_backward(batch, "cross_entropy") for batch in batches]
    return StepFutures(gradients, training.optim_step(adam))


def adam_of(settings: TrainingSettings, learning_rate: float) -> tinker.AdamParams:
    """What Adam goes by in a step with this learning rate."""
    from tinker import AdamParams

    return AdamParams(
        learning_rate=learning_rate,
        beta1=settings.adam_beta1,
        beta2=settings.adam_beta2,
        eps=settings.adam_eps,
        weight_decay=settings.weight_decay,
        grad_clip_norm=settings.grad_clip_norm,
    )
