"""Which examples each step trains on, in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from symptoms.data import Example
from symptoms.errors import InputError
from symptoms.settings import TrainingSettings
from symptoms.tokens import rendered


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
        """Its examples, batch after batch, by their places in the training data."""
        return tuple(index for batch in self.batches for index in batch)


def steps_per_epoch(settings: TrainingSettings, num_examples: int) -> int:
    """How many steps one pass takes; the last one may have fewer examples."""
    return -(-num_examples // (settings.batch_size * settings.gradient_accumulation))


def count_all_steps(settings: TrainingSettings, num_examples: int) -> int:
    """All steps of a run on so many examples."""
    return settings.steps or settings.epochs * steps_per_epoch(settings, num_examples)


def count_steps(settings: TrainingSettings, num_examples: int) -> int:
    """All steps of a run; raises InputError where the warm-up would not end before they do."""
    steps = count_all_steps(settings, num_examples)
    if settings.warmup_steps >= steps:
        raise InputError(
            f"warmup_steps {settings.warmup_steps} must be fewer than the {steps} steps; lower it, "
            "or train for more epochs."
        )
    return steps


def plan_steps(settings: TrainingSettings, kinds: Sequence[str], after: int = 0) -> Iterator[Step]:
    """The steps that follow step number `after`, the same on every call, over examples of these kinds.

    `kinds` are what `kind_of_example` gives of each.
    """
    per_epoch, total = steps_per_epoch(settings, len(kinds)), count_steps(settings, len(kinds))
    size = settings.batch_size
    order: tuple[int, list[int]] = (0, [])
    for number in range(after + 1, total + 1):
        epoch, place = divmod(number - 1, per_epoch)
        if order[0] != epoch + 1:
            order = (epoch + 1, _order(settings, kinds, epoch + 1))
        first = place * size * settings.gradient_accumulation
        mine = order[1][first : first + size * settings.gradient_accumulation]
        batches = tuple(tuple(mine[start : start + size]) for start in range(0, len(mine), size))
        yield Step(number, epoch + 1, batches, ends_epoch=place == per_epoch - 1)


def _order(settings: TrainingSettings, kinds: Sequence[str], epoch: int) -> list[int]:
    order = list(range(len(kinds)))
    if not settings.shuffle:
        return order
    # A generator of its own for each epoch, so that a resumed run need not replay earlier ones.
    random = Random(f"{settings.seed} {epoch}")
    random.shuffle(order)
    return _dealt(order, kinds, random) if settings.balanced else order


def _dealt(order: Sequence[int], kinds: Sequence[str], random: Random) -> list[int]:
    """The same examples in rounds that hold each kind at most once, and a rare one in few, evenly apart.

    A batch of few examples pushes the model towards whatever kinds happen to be in it, the next one
    towards others. Where every batch holds many kinds, most of this noise cancels. Were the rare ones
    dealt first, the commonest would be alone at the end, and the model would say little else.
    """
    piles: dict[str, list[int]] = {}
    for index in order:
        piles.setdefault(kinds[index], []).append(index)
    sizes = {name: len(pile) for name, pile in piles.items()}
    rounds = max(sizes.values(), default=0)
    dealt: list[int] = []
    for number in range(rounds):
        # How many of a kind belong into the rounds before and with this one, to the nearest whole.
        names = [
            name
            for name, size in sizes.items()
            if (2 * number * size + rounds) // (2 * rounds)
            < (2 * (number + 1) * size + rounds) // (2 * rounds)
        ]
        random.shuffle(names)
        dealt += [piles[name].pop() for name in names]
    return dealt


def kind_of_example(example: Example) -> str:
    """What an example is an example of, for balanced batches: its label, or the first line of any text."""
    return example.label.text if example.label is not None else rendered(example).partition("\n")[0]
