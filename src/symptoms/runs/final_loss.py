"""What a run's loss is at its end, as a mean over one pass through the examples, and how far it fell."""

from collections.abc import Sequence

from symptoms.runs.step_metrics import StepMetrics


def final_loss(metrics: Sequence[StepMetrics]) -> float | None:
    """The mean loss per trained token over `last_pass`, in nats; None before the first step."""
    return mean_loss(last_pass(metrics))


def reduction(metrics: Sequence[StepMetrics]) -> float | None:
    """By what part of the first step's loss `final_loss` is lower.

    None for less than two passes: the mean then has steps of the first one, before which nothing was learned
    of their examples, and may be higher than the first step's although the loss fell.
    """
    final, passes = final_loss(metrics), len(last_pass(metrics))
    if final is None or len(metrics) < 2 * passes:
        return None
    return 1 - final / metrics[0].loss


def reduction_is(metrics: Sequence[StepMetrics]) -> str:
    """`reduction` in words; where there is none, what the two halves of the run show."""
    found = reduction(metrics)
    if found is not None:
        return f"{found:.1%}"
    middle = len(metrics) // 2
    first, second = mean_loss(metrics[:middle]), mean_loss(metrics[middle:])
    if first is None or second is None:
        return "none to tell after one step"
    halves = f"{first:.3f} in the first half of the steps, {second:.3f} in the second"
    return f"none to tell of less than two epochs; {halves}"


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


def mean_loss(metrics: Sequence[StepMetrics]) -> float | None:
    """The mean over all trained tokens of these steps, in nats; None where there are none.

    A smaller batch, as the last one of an epoch may be, counts for less.
    """
    trained_tokens = sum(line.num_trained_tokens for line in metrics)
    total = sum(line.loss * line.num_trained_tokens for line in metrics)
    return total / trained_tokens if trained_tokens else None
