"""Which examples a step trains on, and with which weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from symptoms.data import Example
from symptoms.data.assessment import CONCERN
from symptoms.errors import InputError
from symptoms.settings import TrainingSettings
from symptoms.tokens import TokenizedExample, Tokenizer, rendered, to_datum

if TYPE_CHECKING:
    import tinker


@dataclass(frozen=True)
class Step:
    """One optimizer step, counted from 1 as are epochs; each batch is one forward_backward.

    `batches` holds indices of examples. `ends_epoch` marks the last step of an epoch.
    """

    number: int
    epoch: int
    batches: tuple[tuple[int, ...], ...]
    ends_epoch: bool

    @property
    def indices(self) -> tuple[int, ...]:
        return tuple(index for batch in self.batches for index in batch)


def steps_per_epoch(settings: TrainingSettings, num_examples: int) -> int:
    """How many steps one pass takes; the last one may have fewer examples."""
    return -(-num_examples // (settings.batch_size * settings.gradient_accumulation))


def count_steps(settings: TrainingSettings, num_examples: int) -> int:
    """All steps of a run; raises InputError where the warm-up would not end before they do."""
    steps = settings.steps or settings.epochs * steps_per_epoch(settings, num_examples)
    if settings.warmup_steps >= steps:
        raise InputError(
            f"warmup_steps {settings.warmup_steps} must be fewer than the {steps} steps; lower it, "
            "or train for more epochs."
        )
    return steps


def plan_steps(settings: TrainingSettings, concerns: Sequence[str], after: int = 0) -> Iterator[Step]:
    """The steps that follow step number `after`, the same on every call, over examples of these concerns."""
    per_epoch, total = steps_per_epoch(settings, len(concerns)), count_steps(settings, len(concerns))
    size = settings.batch_size
    order: tuple[int, list[int]] = (0, [])
    for number in range(after + 1, total + 1):
        epoch, place = divmod(number - 1, per_epoch)
        if order[0] != epoch + 1:
            order = (epoch + 1, _order(settings, concerns, epoch + 1))
        first = place * size * settings.gradient_accumulation
        mine = order[1][first : first + size * settings.gradient_accumulation]
        batches = tuple(tuple(mine[start : start + size]) for start in range(0, len(mine), size))
        yield Step(number, epoch + 1, batches, ends_epoch=place == per_epoch - 1)


def _order(settings: TrainingSettings, concerns: Sequence[str], epoch: int) -> list[int]:
    order = list(range(len(concerns)))
    if not settings.shuffle:
        return order
    # A generator of its own for each epoch, so that a resumed run need not replay earlier ones.
    random = Random(f"{settings.seed} {epoch}")
    random.shuffle(order)
    return _dealt(order, concerns, random) if settings.balanced else order


def _dealt(order: Sequence[int], concerns: Sequence[str], random: Random) -> list[int]:
    """The same examples in rounds that hold each concern at most once, and a rare one in few, evenly apart.

    A batch of few examples pushes the model towards whatever concerns happen to be in it, the next one
    towards others. Where every batch holds many concerns, most of this noise cancels. Were the rare ones
    dealt first, the commonest would be alone at the end, and the model would say little else.
    """
    piles: dict[str, list[int]] = {}
    for index in order:
        piles.setdefault(concerns[index], []).append(index)
    sizes = {name: len(pile) for name, pile in piles.items()}
    rounds = max(sizes.values(), default=0)
    dealt: list[int] = []
    for number in range(rounds):
        # How many of a concern belong into the rounds before and with this one, to the nearest whole.
        names = [
            name
            for name, size in sizes.items()
            if (2 * number * size + rounds) // (2 * rounds)
            < (2 * (number + 1) * size + rounds) // (2 * rounds)
        ]
        random.shuffle(names)
        dealt += [piles[name].pop() for name in names]
    return dealt


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


def kind_of_example(example: Example) -> str:
    """What an example is an example of, for balanced batches: its label, or the first line of any text."""
    return example.label.text if example.label is not None else rendered(example).partition("\n")[0]


def emphasise_concern(
    tokenizer: Tokenizer, example: Example, tokens: TokenizedExample, weight: float
) -> TokenizedExample:
    """The tokens of an example, with this weight on its `Primary concern` line, the line break included.

    Raises InputError for an example whose text does not begin with such a line.
    """
    if weight == 1:
        return tokens
    if example.label is None:
        raise InputError(
            f"concern_weight and best_by dev_concern_loss need outputs that begin with {CONCERN.strip()!r}, "
            f"found {rendered(example)[:30]!r}; leave them out."
        )
    weights = list(tokens.weights)
    for place in range(weights.index(1.0), len(weights)):
        weights[place] = weight
        if "\n" in str(tokenizer.decode([tokens.tokens[place]], skip_special_tokens=False)):
            break
    return replace(tokens, weights=tuple(weights))


def concern_alone(tokenizer: Tokenizer, example: Example, tokens: TokenizedExample) -> TokenizedExample:
    """The tokens of an example, with weight 1 on its `Primary concern` line and 0 on all others.

    Raises InputError for an example whose text does not begin with such a line.
    """
    marked = emphasise_concern(tokenizer, example, tokens, 2)
    return replace(tokens, weights=tuple(float(weight == 2) for weight in marked.weights))


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
