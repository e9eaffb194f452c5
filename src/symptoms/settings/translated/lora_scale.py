"""Settings of an adapter with another scale than ours.

An adapter adds scale * B A to a layer. The Tinker API fixes alpha at 32, so its scale is 32 / rank, and an
adapter of another scale cannot be had. With B at zero, as every tool starts it, B is what learns first. Under
Adam a step moves each of its numbers by about the rate, whatever the gradient's size, so rate * scale is the
size of a step of the layer, and that is kept:

    our rate = their rate * their scale / our scale

The gradient of B is proportional to the scale, so what is measured against the gradient, eps and the norm
for clipping, is divided by the same ratio; so is the decay, whose part of a step is rate * decay. While B is
small the two trainings move alike; A moves by the changed rate, too, so that they part later, by more the
further the ratio is from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from symptoms.settings.translated.their_values import TheirValues

OUR_ALPHA = 32
"""What the Tinker API fixes, and `tinker_local` with it."""


@dataclass(frozen=True)
class Scale:
    """The scale of another tool's adapter, and how it comes about there, in words."""

    theirs: float
    rank: int
    words: str

    @property
    def ours(self) -> float:
        """The scale of ours with the same rank."""
        return OUR_ALPHA / self.rank

    @property
    def ratio(self) -> float:
        """Theirs over ours: what their rate is multiplied with, and the rest divided by."""
        return self.theirs / self.ours

    @property
    def because(self) -> str:
        """Why a value differs, as the end of a sentence; "" where the scales are the same."""
        return "" if self.ratio == 1 else f"; {self.words}, and here 32 / {self.rank} = {self.ours:g}"


@dataclass(frozen=True)
class TheirAdam:
    """Their optimizer's numbers; `words` says where each is from, in the same order."""

    rate: float
    eps: float
    weight_decay: float
    clip: float
    words: Sequence[str]


def carry_rank(theirs: TheirValues, scale: Scale, name: str) -> None:
    """The rank, and that alpha is fixed."""
    same = "the same as ours" if scale.ratio == 1 else f"and ours is 32 / {scale.rank} = {scale.ours:g}"
    theirs.carry("lora_rank", scale.rank, f"{name}; alpha is fixed at 32 here: {scale.words}, {same}")


def carry_adam(
    theirs: TheirValues, adam: TheirAdam, scale: Scale, loss: float = 1.0, loss_words: str = ""
) -> None:
    """Rate, eps, decay and clipping for our scale, and for a loss that is `loss` times theirs.

    Under Adam the rate is the same whatever the loss is multiplied with; eps and the norm are not.
    """
    rate_words, eps_words, decay_words, clip_words = adam.words
    ratio = scale.ratio
    changed = f", times {ratio:g}{scale.because}" if ratio != 1 else ""
    theirs.carry("learning_rate", _rounded(adam.rate * ratio), f"{rate_words}{changed}")
    to_gradient = loss / ratio
    why = f"{scale.because}{loss_words}"
    by = f", times {to_gradient:g}, as the gradient is here{why}" if to_gradient != 1 else ""
    theirs.carry("adam_eps", _rounded(adam.eps * to_gradient), f"{eps_words}{by}")
    by = f", divided by {ratio:g}, so that rate times decay stays" if ratio != 1 and adam.weight_decay else ""
    theirs.carry("weight_decay", _rounded(adam.weight_decay / ratio), f"{decay_words}{by}")
    by = f", times {to_gradient:g}, as the gradient is here{why}" if to_gradient != 1 and adam.clip else ""
    theirs.carry("grad_clip_norm", _rounded(adam.clip * to_gradient), f"{clip_words}{by}")


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
