"""The datums of a step, and with which weights their tokens count in its loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from symptoms.settings import TrainingSettings
from symptoms.tokens import TokenizedExample, to_datum
from symptoms.train.step_plan import Step

if TYPE_CHECKING:
    import tinker


class Batches:
    """The datums of each step, whose weights realise the reduction of the configuration.

    The service sums what it is given, so a mean is a sum of weights that were divided before.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        examples: Sequence[TokenizedExample],
        emphasised: Sequence[TokenizedExample],
        concerns: Sequence[str],
    ) -> None:
        """`emphasised` are the examples with the weights they are trained with, `examples` with 0 and 1.

        `concerns` names what each example is an example of, for batches that hold many.
        """
        self.examples = examples
        self.concerns = concerns
        self._reduction = settings.reduction
        self._emphasised = emphasised
        self._datums = [to_datum(one) for one in emphasised] if settings.reduction == "sum" else []

    def of(self, step: Step) -> list[list[tinker.Datum]]:
        """The datums of a step, one list for each forward_backward."""
        if self._reduction == "sum":
            return [[self._datums[index] for index in batch] for batch in step.batches]
        return [[to_datum(self._scaled(index, step)) for index in batch] for batch in step.batches]

    def trained_on(self, step: Step) -> list[TokenizedExample]:
        return [self.examples[index] for index in step.indices]

    def _scaled(self, index: int, step: Step) -> TokenizedExample:
        example = self._emphasised[index]
        if self._reduction == "mean_per_token":
            divisor = sum(sum(self._emphasised[other].weights[1:]) for other in step.indices)
        else:
            divisor = sum(example.weights[1:]) * len(step.indices)
        return replace(example, weights=tuple(weight / divisor for weight in example.weights))


REDUCTIONS = {
    "sum": "sum over the trained tokens of a step",
    "mean_per_token": "weighted mean over the trained tokens of a step",
    "mean_per_example": "mean over a step's examples of each one's weighted mean over its trained tokens",
}


def loss_in_words(settings: TrainingSettings) -> str:
    """What exactly is minimised, for the manifest."""
    emphasis = ""
    if settings.concern_weight != 1:
        emphasis = f"; tokens of the Primary concern line weigh {settings.concern_weight:g}, others 1"
    return REDUCTIONS[settings.reduction] + emphasis
