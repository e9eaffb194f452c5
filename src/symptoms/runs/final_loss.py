"""What a run's loss is at its end: one number for as many steps as go once through the examples."""

from __future__ import annotations

from collections.abc import Sequence

from symptoms.runs.step_metrics import StepMetrics


def final_loss(metrics: Sequence[StepMetrics]) -> float | None:
    """The mean loss per trained token over `last_pass`, in nats; None before the first step."""
    last = last_pass(metrics)
    trained_tokens = sum(line.num_trained_tokens for line in last)
    total = sum(line.loss * line.num_trained_tokens for line in last)
    return total / trained_tokens if trained_tokens else None


def last_pass(metrics: Sequence[StepMetrics]) -> Sequence[StepMetrics]:
    """As many of the last steps as an epoch has; all of them within the first epoch.

    A run that ends within an epoch would otherwise be judged by the few examples that happened to be last.
    """
    if not metrics or metrics[-1].epoch == metrics[0].epoch:
        return metrics
    steps_per_epoch = sum(line.epoch == metrics[0].epoch for line in metrics)
    return metrics[-steps_per_epoch:]


def final_loss_is(metrics: Sequence[StepMetrics]) -> str:
    """Over what `final_loss` is the mean, in words."""
    last = last_pass(metrics)
    if len(last) == len(metrics):
        return "the mean over all steps"
    if last[0].epoch == last[-1].epoch:
        return "the mean over the last epoch"
    return f"the mean over the last {len(last)} steps, as many as an epoch has"
