"""The one number that a run's training loss is told by."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from symptoms.runs.final_loss import final_loss, final_loss_is, reduction, reduction_is
from symptoms.runs.step_metrics import StepMetrics
from symptoms.train.watching.live_view import LiveView


def steps(*epochs: tuple[float, ...], trained_tokens: int = 50) -> list[StepMetrics]:
    """A line for each loss, by epoch."""
    losses = [(epoch, loss) for epoch, own in enumerate(epochs, start=1) for loss in own]
    return [
        StepMetrics(step, epoch, loss, 1e-3, 100, trained_tokens, 0.5)
        for step, (epoch, loss) in enumerate(losses, start=1)
    ]


def test_the_final_loss_is_that_of_the_last_epoch():
    """Its mean, whatever came before."""
    metrics = steps((4.0, 4.0), (2.0, 1.0))
    assert (final_loss(metrics), final_loss_is(metrics)) == (1.5, "the mean over the last epoch")


def test_an_epoch_that_has_only_begun_is_filled_up_with_the_one_before():
    """One step of the third epoch is not what the examples have come to."""
    metrics = steps((4.0, 4.0), (3.0, 2.0), (1.0,))
    assert final_loss(metrics) == 1.5
    assert final_loss_is(metrics) == "the mean over the last 2 steps, as many as an epoch has"


def test_within_the_first_epoch_all_steps_count():
    """And none at all is no loss."""
    metrics = steps((4.0, 2.0))
    assert (final_loss(metrics), final_loss_is(metrics)) == (3.0, "the mean over all steps")
    assert final_loss([]) is None


def test_a_step_counts_by_its_trained_tokens():
    """The last, smaller batch of an epoch weighs as much as its tokens."""
    whole, part = steps((2.0,)), steps((1.0,), trained_tokens=25)
    assert final_loss([*whole, *part]) == pytest.approx((2.0 * 50 + 1.0 * 25) / 75)


def test_the_loss_along_the_way_is_counted_as_the_final_one():
    """After one short epoch the two are of the same steps, and the same number."""
    said = StringIO()
    view = LiveView(Console(file=said, width=200), num_steps=2)
    metrics = [*steps((4.0,)), replace(*steps((1.0,), trained_tokens=25), step=2)]
    for line in metrics:
        view.step(line)
    assert final_loss(metrics) == 3.0
    assert "loss 3.000 (mean of 2 steps)" in said.getvalue()


def test_the_loss_is_lower_by_a_part_of_the_first_steps():
    """From the first step on to the mean over the last epoch, where an epoch lies between them."""
    metrics = steps((4.0, 5.0), (3.0, 2.0), (1.0, 1.0))
    assert (reduction(metrics), reduction_is(metrics)) == (0.75, "75.0%")


@pytest.mark.parametrize(
    "epochs", [((2.0, 3.0, 1.9, 1.9),), ((2.0, 3.0, 1.9), (1.9,))], ids=["one", "less than two"]
)
def test_of_less_than_two_epochs_the_halves_are_told(epochs: tuple[tuple[float, ...], ...]):
    """An easy first step would make a rise of a loss that fell."""
    metrics = steps(*epochs)
    assert reduction(metrics) is None
    assert reduction_is(metrics) == (
        "none to tell of less than two epochs; 2.500 in the first half of the steps, 1.900 in the second"
    )


def test_after_one_step_nothing_is_said_to_have_fallen():
    """The first step's loss is the last one's."""
    assert reduction(steps((2.0,))) is None
    assert reduction_is(steps((2.0,))) == "none to tell after one step"
