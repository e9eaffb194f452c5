"""Loss functions over log-probabilities. Every loss is a sum over tokens; the client divides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tinker_local.domain.datum import Datum
from tinker_local.errors import RequestError

MOST_TARGETS = 1024
"""Of one token. Distilling from another model takes tens."""
SEQUENCE_LOG_RATIO = "sequence_log_ratio"

LossFunction = Callable[[Mapping[str, Tensor], Tensor, Mapping[str, float]], Tensor]
"""(named inputs, log-probabilities of the targets, settings) -> elementwise loss; tensors of one shape."""


@dataclass(frozen=True)
class Loss:
    """A loss, the inputs it reads, and its settings.

    `weight_input` is zero where a token does not count; None means that each counts. `required` are settings
    without a documented default. `ratio_input` marks the tokens of a datum whose mean log-ratio the loss
    reads, as another input named SEQUENCE_LOG_RATIO.
    """

    elementwise: LossFunction
    inputs: tuple[str, ...]
    weight_input: str | None
    defaults: Mapping[str, float]
    required: tuple[str, ...] = ()
    ratio_input: str | None = None

    def settings(self, config: Mapping[str, float | str]) -> dict[str, float]:
        """The defaults with what the client changed; raises RequestError for what the loss does not have."""
        changed: dict[str, float] = {}
        for name, value in config.items():
            if name not in self.defaults and name not in self.required:
                known = ", ".join([*self.defaults, *self.required]) or "none"
                raise RequestError(f"The loss has no setting {name!r}; it has: {known}.")
            if isinstance(value, str) or not math.isfinite(value):
                raise RequestError(f"The loss's setting {name!r} is not a finite number; send one.")
            changed[name] = value
        for name in self.required:
            if name not in changed:
                raise RequestError(f"The loss has no default for {name!r}; send it in loss_fn_config.")
        return {**self.defaults, **changed}


def cross_entropy(inputs: Mapping[str, Tensor], logprobs: Tensor, _settings: Mapping[str, float]) -> Tensor:
    """`-logprob * weight`; weights may be negative, as custom losses send them."""
    return -logprobs * inputs["weights"]


def importance_sampling(
    inputs: Mapping[str, Tensor], logprobs: Tensor, _settings: Mapping[str, float]
) -> Tensor:
    """`-ratio * advantage` with `ratio = exp(logprob - sampling logprob)`.

    Source: Tinker documentation, "Loss functions", importance_sampling.
    """
    return -_ratio(inputs, logprobs) * inputs["advantages"]


def ppo(inputs: Mapping[str, Tensor], logprobs: Tensor, settings: Mapping[str, float]) -> Tensor:
    """`-min(ratio * advantage, clip(ratio, low, high) * advantage)`.

    Source: Schulman et al. 2017, arXiv:1707.06347, and the Tinker documentation, which gives the bounds
    as ratios (0.8 and 1.2 by default).
    """
    ratio = _ratio(inputs, logprobs)
    clipped = ratio.clamp(settings["clip_low_threshold"], settings["clip_high_threshold"])
    return -torch.minimum(ratio * inputs["advantages"], clipped * inputs["advantages"])


def cispo(inputs: Mapping[str, Tensor], logprobs: Tensor, settings: Mapping[str, float]) -> Tensor:
    """`-clip(ratio, low, high) * logprob * advantage`, the clipped ratio being a constant to the gradient.

    Source: MiniMax-M1, arXiv:2506.13585, and the Tinker documentation, whose default bounds are
    one-sided (0 and 4).
    """
    clipped = _ratio(inputs, logprobs).clamp(settings["clip_low_threshold"], settings["clip_high_threshold"])
    return -clipped.detach() * logprobs * inputs["advantages"]


def gspo(inputs: Mapping[str, Tensor], logprobs: Tensor, settings: Mapping[str, float]) -> Tensor:
    """`-min(s * advantage, clip(s, low, high) * advantage)`, `s` being one number for a datum's tokens.

    It is e to the mean of `logprob - sampling logprob` over those tokens that sequence_ratio_mask marks, and
    each token has the gradient of its own log-probability alone (GSPO-token).

    Source: Zheng et al. 2025, arXiv:2507.18071, and the Tinker documentation, "GSPO". The default bounds
    are those of the paper's section 5.1, as ratios, since the documentation's own are not known here.
    """
    ratio = torch.exp(inputs[SEQUENCE_LOG_RATIO] + logprobs - logprobs.detach())
    clipped = ratio.clamp(settings["clip_low_threshold"], settings["clip_high_threshold"])
    return -torch.minimum(ratio * inputs["advantages"], clipped * inputs["advantages"])


def dro(inputs: Mapping[str, Tensor], logprobs: Tensor, settings: Mapping[str, float]) -> Tensor:
    """`-(logprob * advantage - beta / 2 * (logprob - sampling logprob)^2)`.

    The penalty is counted for every token, also where the advantage is zero, as hosted Tinker does it; to
    leave a token out, send its own log-probability as the sampling one.

    Source: Richemond et al. 2024, arXiv:2405.19107, and the Tinker documentation, "DRO".
    """
    penalty = (logprobs - inputs["logprobs"]).square()
    return 0.5 * settings["beta"] * penalty - logprobs * inputs["advantages"]


def sequence_log_ratios(
    mask: Tensor, logprobs: Tensor, sampling_logprobs: Tensor, lengths: Sequence[int]
) -> Tensor:
    """The mean log-ratio over the marked tokens of each datum, for each of its tokens; a constant.

    All tensors are of one shape, [rows] or [rows, k]; `lengths` tells how many rows belong to each datum.
    """
    ratios = torch.empty_like(logprobs)
    start = 0
    for length in lengths:
        rows = slice(start, start + length)
        start += length
        ratios[rows] = (logprobs[rows] - sampling_logprobs[rows])[mask[rows] != 0].mean()
    return ratios


def _ratio(inputs: Mapping[str, Tensor], logprobs: Tensor) -> Tensor:
    return torch.exp(logprobs - inputs["logprobs"])


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, ("weights",), "weights", {}),
    "importance_sampling": Loss(importance_sampling, ("logprobs", "advantages"), "advantages", {}),
    "ppo": Loss(
        ppo, ("logprobs", "advantages"), "advantages", {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}
    ),
    "cispo": Loss(
        cispo,
        ("logprobs", "advantages"),
        "advantages",
        {"clip_low_threshold": 0.0, "clip_high_threshold": 4.0},
    ),
    "gspo": Loss(
        gspo,
        ("logprobs", "advantages", "sequence_ratio_mask"),
        "advantages",
        {"clip_low_threshold": 1 - 3e-4, "clip_high_threshold": 1 + 4e-4},
        ratio_input="sequence_ratio_mask",
    ),
    "dro": Loss(dro, ("logprobs", "advantages"), None, {}, required=("beta",)),
}

OFFERED = ", ".join(LOSSES)
NO_STABLE_REINFORCE = (
    "The loss 'stable_reinforce' is not offered here, since its formula is not known; choose another loss, "
    "without record_stability_info (in tinker-cookbook: loss_fn=importance_sampling). Offered are: "
    f"{OFFERED}."
)


def find_loss(name: str) -> Loss:
    """The loss of this name; raises RequestError with the names there are."""
    if name == "stable_reinforce":
        raise RequestError(NO_STABLE_REINFORCE)
    loss = LOSSES.get(name)
    if loss is None:
        raise RequestError(f"The loss {name!r} is not offered here; use one of: {OFFERED}.")
    return loss


def check_sequences(datums: Sequence[Datum], vocab_size: int, context: int) -> None:
    """Raise RequestError at the first datum whose tokens or targets no loss can be computed of."""
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
        if targets.ndim == 2 and targets.shape[1] > MOST_TARGETS:
            raise RequestError(
                f"Datum {index} has {targets.shape[1]} target_tokens for each token; give at most "
                f"{MOST_TARGETS}."
            )
        if not np.issubdtype(targets.dtype, np.integer):
            raise RequestError(f"Datum {index} has target_tokens that are not integers; send int64.")
        _check_token_ids(targets, vocab_size, f"target_tokens of datum {index}")


def check_datums(datums: Sequence[Datum], loss: Loss, vocab_size: int, context: int) -> None:
    """Raise RequestError at the first datum that cannot be trained on, naming its fault."""
    check_sequences(datums, vocab_size, context)
    for index, datum in enumerate(datums):
        targets = datum.loss_inputs["target_tokens"]
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
        unknown = sorted(set(datum.loss_inputs) - {"target_tokens", *loss.inputs})
        if unknown:
            raise RequestError(
                f"Datum {index} has {unknown[0]}, which this loss does not read; leave it out. It reads: "
                f"{', '.join(['target_tokens', *loss.inputs])}."
            )
        if loss.ratio_input is not None and not datum.loss_inputs[loss.ratio_input].any():
            raise RequestError(
                f"Datum {index} has a {loss.ratio_input} that marks no token; set it to 1 where sampled."
            )


def _check_token_ids(ids: np.ndarray, vocab_size: int, what: str) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        wrong = ids.max() if ids.max() >= vocab_size else ids.min()
        raise RequestError(f"The {what} include {wrong}, outside the vocabulary of {vocab_size} tokens.")
