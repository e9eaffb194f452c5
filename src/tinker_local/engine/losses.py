"""Loss functions over log-probabilities. Every loss is a sum over tokens; the client divides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tinker_local.errors import RequestError
from tinker_local.wire.datums import Datum

LossFunction = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""(named inputs, log-probabilities of the targets) -> elementwise loss; all of one shape."""


@dataclass(frozen=True)
class Loss:
    """A loss, the inputs it reads, and the one that says which tokens count."""

    elementwise: LossFunction
    inputs: tuple[str, ...]
    weight_input: str


def cross_entropy(inputs: Mapping[str, Tensor], logprobs: Tensor) -> Tensor:
    """`-logprob * weight`, elementwise; weights may be negative, as custom losses send them."""
    return -logprobs * inputs["weights"]


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, ("weights",), "weights"),
}


def find_loss(name: str) -> Loss:
    """The loss of this name; raises RequestError with the names there are."""
    loss = LOSSES.get(name)
    if loss is None:
        raise RequestError(f"The loss {name!r} is not offered here; use one of: {', '.join(LOSSES)}.")
    return loss


def check_datums(datums: Sequence[Datum], loss: Loss, vocab_size: int, context: int) -> None:
    """Raise RequestError at the first datum that cannot be trained on, naming its fault."""
    if not datums:
        raise RequestError("There is no data in the request; send at least one datum.")
    for index, datum in enumerate(datums):
        length = len(datum.tokens)
        if length == 0:
            raise RequestError(f"Datum {index} has no tokens; give it at least one.")
        if length > context:
            raise RequestError(f"Datum {index} has {length} tokens, the context is {context}; shorten.")
        targets = datum.loss_inputs.get("target_tokens")
        if targets is None:
            raise RequestError(f"Datum {index} has no target_tokens; add them to its loss inputs.")
        _check_token_ids(datum.tokens, vocab_size, f"tokens of datum {index}")
        if targets.shape[:1] != (length,) or targets.ndim > 2:
            raise RequestError(
                f"Datum {index} has {length} tokens but target_tokens of shape {targets.shape}; "
                "make them equal."
            )
        if targets.shape[1:] == (0,) or targets.shape[1:] != datums[0].loss_inputs["target_tokens"].shape[1:]:
            raise RequestError(
                f"Datum {index} has target_tokens of shape {targets.shape}; give every token of a request "
                "the same number of targets, at least one."
            )
        if not np.issubdtype(targets.dtype, np.integer):
            raise RequestError(f"Datum {index} has target_tokens that are not integers; send int64.")
        _check_token_ids(targets, vocab_size, f"target_tokens of datum {index}")
        for name in loss.inputs:
            values = datum.loss_inputs.get(name)
            if values is None:
                raise RequestError(
                    f"Datum {index} has no {name}; the loss needs one number for each target token."
                )
            if values.shape != targets.shape:
                raise RequestError(
                    f"Datum {index} has {name} of shape {values.shape} but target_tokens of shape "
                    f"{targets.shape}; make them equal."
                )
            if not np.isfinite(values).all():
                raise RequestError(f"Datum {index} has {name} that are not finite; send finite numbers.")


def _check_token_ids(ids: np.ndarray, vocab_size: int, what: str) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        wrong = ids.max() if ids.max() >= vocab_size else ids.min()
        raise RequestError(f"The {what} include {wrong}, outside the vocabulary of {vocab_size} tokens.")


def target_logprobs(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target [n] or [n, k] under float32 logits [n, vocab_size]."""
    normaliser = torch.logsumexp(logits, dim=-1, keepdim=True)
    if targets.ndim == 1:
        return (logits.gather(1, targets[:, None]) - normaliser)[:, 0]
    return logits.gather(1, targets) - normaliser
