"""The datums of a step, and with which weights their tokens count in its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symptoms.settings import TrainingSettings
from symptoms.tokens import TokenizedExample, to_datum
from symptoms.train.step_plan import Step

if TYPE_CHECKING:
    import tinker


@dataclass(frozen=True)
class WeightedExample:
    """An example with weights 0 and 1, and with those that it is trained with."""

    plain: TokenizedExample
    emphasised: TokenizedExample


Retell = Callable[[int, int], WeightedExample]
"""An example, by its index, as it is told in an epoch; the same on every call."""


class Batches:
    """The datums of each step, whose weights realise the reduction of the configuration.

    The service sums what it is given, so a mean is a sum of weights that were divided before.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        examples: Sequence[TokenizedExample],
        emphasised: Sequence[TokenizedExample],
        kinds: Sequence[str],
        retell: Retell | None = None,
    ) -> None:
        """`emphasised` are the examples with the weights they are trained with, `examples` with 0 and 1.

        `kinds` are those of `kind_of_example`, for batches that hold many. `retell` gives both
        of an example as it is told in an epoch, where that is another way each time.
        """
        self.examples = examples
        self.kinds = kinds
        self._reduction = settings.reduction
        self._emphasised = emphasised
        self._retell = retell
        stays = settings.reduction == "sum" and retell is None
        self._datums = [to_datum(one) for one in emphasised] if stays else []

    def of(self, step: Step) -> list[list[tinker.Datum]]:
        """The datums of a step, one list for each forward_backward."""
        if self._datums:
            return [[self._datums[index] for index in batch] for batch in step.batches]
        told = {index: self._as_told(index, step).emphasised for index in step.indices}
        return [[to_datum(self._scaled(index, told)) for index in batch] for batch in step.batches]

    def trained_on(self, step: Step) -> list[TokenizedExample]:
        """The examples of a step with weights 0 and 1, in their order."""
        return [self._as_told(index, step).plain for index in step.indices]

    def _as_told(self, index: int, step: Step) -> WeightedExample:
        if self._retell is None:
            return WeightedExample(self.examples[index], self._emphasised[index])
        return self._retell(index, step.epoch)

    def _scaled(self, index: int, told: Mapping[int, TokenizedExample]) -> TokenizedExample:
        """One of the examples `told` in a step, by its index, with weights that realise the reduction."""
        example = told[index]
        if self._reduction == "sum":
            return example
        if self._reduction == "mean_per_token":
            divisor = sum(sum(other.weights[1:]) for other in told.values())
        else:
            divisor = sum(example.weights[1:]) * len(told)
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
