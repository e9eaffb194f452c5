"""A model being trained: gradients gather over forward_backward, and an optimizer step spends them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tinker_local.domain.datum import Datum, DatumOutput
from tinker_local.engine.kernels.cross_entropy import (
    Derivative,
    target_logprobs,
    target_logprobs_and_gradient,
)
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.threads import use_threads_for
from tinker_local.engine.train.custom.loss import Budget, CustomLoss
from tinker_local.engine.train.decoder import Decoder, Keep, Saved, Tokens, bytes_per_token
from tinker_local.engine.train.losses import (
    SEQUENCE_LOG_RATIO,
    Loss,
    check_datums,
    check_sequences,
    find_loss,
    sequence_log_ratios,
)
from tinker_local.engine.train.micro_batches import MicroBatch, micro_batches
from tinker_local.engine.train.optimizers import AdamSettings, Settings, make_optimizer
from tinker_local.errors import RequestError

__all__ = ["AdamSettings", "TrainingModel"]

_Outcome = tuple[list[DatumOutput], Mapping[str, float]]
"""Of a micro-batch: what each datum gives, and sums over them, by name."""


class TrainingModel:
    """One adapter in training over a shared base model. Not thread-safe: the worker owns it."""

    def __init__(
        self,
        base: Llama,
        adapter: Adapter,
        optimizer_state: Mapping[str, Tensor] | None = None,
        trained_on: Callable[[], Llama] | None = None,
        optimizer: str | None = None,
    ) -> None:
        """`trained_on` gives the base in the type to train in, and is asked when something is computed.

        `optimizer` is one of OPTIMIZERS; None is that of the state, and AdamW without one.
        """
        self.base = base
        self._trained_on = trained_on or (lambda: base)
        self._optimizer_name = optimizer
        self.load(adapter, optimizer_state)

    def load(self, adapter: Adapter, optimizer_state: Mapping[str, Tensor] | None = None) -> None:
        """Train this adapter, in its own buffer, from now on; pending gradients are dropped.

        The optimizer starts anew without its state. Raises CheckpointError, and changes nothing, where the
        state is that of another adapter or another optimizer.
        """
        gradients = torch.zeros_like(adapter.flat)
        self._optimizer = make_optimizer(self._optimizer_name, adapter, gradients, optimizer_state)
        self._optimizer_name = self._optimizer.name
        self.adapter = adapter
        self._gradients = gradients
        self._has_gradients = False
        self._decoder: Decoder | None = None
        self._has_stepped = False

    @property
    def optimizer(self) -> str:
        """The name of its optimizer."""
        return self._optimizer.name

    def forward_backward(
        self,
        datums: Sequence[Datum],
        loss_fn: str,
        forward_only: bool,
        loss_config: Mapping[str, float | str] | None = None,
    ) -> tuple[list[DatumOutput], dict[str, float]]:
        """Log-probabilities of every target, and gradients of the summed loss unless `forward_only`.

        Either all datums are counted or, where one is wrong (RequestError) or anything else fails, none.
        """
        loss = find_loss(loss_fn)
        settings = loss.settings(loss_config or {})
        config = self.base.config
        check_datums(datums, loss, config.vocab_size, config.max_position_embeddings)

        def compute(decoder: Decoder, batch: MicroBatch) -> _Outcome:
            chosen = [datums[index] for index in batch.indices]
            return _compute(decoder, chosen, loss, settings, forward_only, batch.fits)

        return self._in_micro_batches(datums, forward_only, compute)

    def forward_backward_custom(
        self, datums: Sequence[Datum], loss: CustomLoss, forward_only: bool
    ) -> tuple[list[DatumOutput], dict[str, float]]:
        """As `forward_backward`, with a client's own loss and its metrics.

        Metrics that end in `:mean` are averaged over the datums, the others added.
        """
        config = self.base.config
        check_sequences(datums, config.vocab_size, config.max_position_embeddings)
        loss.check(datums)
        budget = Budget()

        def compute(decoder: Decoder, batch: MicroBatch) -> _Outcome:
            return _compute_custom(decoder, batch, datums, loss, forward_only, budget)

        outputs, sums = self._in_micro_batches(datums, forward_only, compute)
        return outputs, {
            name: value / len(datums) if name.endswith(":mean") else value for name, value in sums.items()
        }

    def _in_micro_batches(
        self,
        datums: Sequence[Datum],
        forward_only: bool,
        compute: Callable[[Decoder, MicroBatch], _Outcome],
    ) -> tuple[list[DatumOutput], dict[str, float]]:
        """The outputs in the datums' order, and the sums of what each micro-batch told."""
        decoder = self._current_decoder()
        lengths = [len(datum.tokens) for datum in datums]
        rank, size = self.adapter.config.rank, decoder.model.dtype.itemsize
        token_bytes = bytes_per_token(self.base.config, size, rank, max(lengths))
        outputs: dict[int, DatumOutput] = {}
        sums: dict[str, float] = {}
        with nullcontext() if forward_only else self._all_or_nothing():
            for batch in micro_batches(lengths, token_bytes):
                use_threads_for(
                    self.base.num_parameters,
                    sum(lengths[index] for index in batch.indices),
                    1 if forward_only else 3,
                )
                results, told = compute(decoder, batch)
                outputs.update(zip(batch.indices, results, strict=True))
                for name, value in told.items():
                    sums[name] = sums.get(name, 0.0) + value
        return [outputs[index] for index in range(len(datums))], sums

    @contextmanager
    def _all_or_nothing(self) -> Generator[None, None, None]:
        """Take back what was added to the gradients where the rest of it fails.

        A copy is made only where gradients of earlier requests wait for a step.
        """
        before = self._gradients.clone() if self._has_gradients else None
        try:
            yield
        except BaseException:
            if before is None:
                self._gradients.zero_()
            else:
                self._gradients.copy_(before)
            raise
        self._has_gradients = True

    def _current_decoder(self) -> Decoder:
        """The model with the adapter as it is now, in the type that is computed in."""
        if self._decoder is None:
            model = self._trained_on()
            gradients = Adapter(model.config, self.adapter.config, self._gradients)
            self._decoder = Decoder(model, self.adapter, gradients)
        elif self._has_stepped:
            self._decoder.refresh()
        self._has_stepped = False
        return self._decoder

    def optim_step(self, settings: Settings) -> dict[str, float]:
        """One step on the gathered gradients, which are then cleared.

        Raises RequestError for another optimizer's settings; and where the gradients are not finite, which
        clears them: the step would ruin the adapter.
        """
        norm = float(cast(Tensor, torch.linalg.vector_norm(self._gradients)))
        if not math.isfinite(norm):
            # In double precision, far slower, the squares of large finite gradients do not overflow.
            norm = float(cast(Tensor, torch.linalg.vector_norm(self._gradients, dtype=torch.float64)))
        if not math.isfinite(norm):
            self._gradients.zero_()
            self._has_gradients = False
            raise RequestError(
                "The gradients are not finite, so no step was taken; lower the weights or the learning rate."
            )
        if settings.grad_clip_norm > 0 and norm > settings.grad_clip_norm:
            self._gradients.mul_(settings.grad_clip_norm / norm)
        # Before it, since one that fails on the way has changed what came first.
        self._has_stepped = True
        self._optimizer.step(settings)
        self._gradients.zero_()
        self._has_gradients = False
        return {"grad_norm:mean": norm}

    def optimizer_state(self) -> dict[str, Tensor]:
        """Copies of what the optimizer remembers; zeros before the first step."""
        return self._optimizer.state()


@dataclass(frozen=True)
class _Passed:
    """Datums of a micro-batch that have gone through the model's blocks.

    `targets` are int64 [rows] or [rows, k], `states` [rows, hidden] what the unembedding scores. `last` is
    what the blocks gave, padded, and the inverse roots of its norm; `saved` what their backward pass needs.
    """

    decoder: Decoder
    lengths: list[int]
    tokens: Tokens
    targets: Tensor
    states: Tensor
    last: tuple[Tensor, Tensor]
    saved: Saved

    @classmethod
    def through(cls, decoder: Decoder, datums: Sequence[Datum], learns: bool, fits: bool) -> _Passed:
        """`fits`: whether all may be kept that the backward pass needs, if it `learns`."""
        tokens = decoder.tokens([torch.from_numpy(datum.tokens) for datum in datums])
        keep = Keep.NOTHING
        if learns and decoder.trains_blocks:
            keep = Keep.ALL if fits else Keep.INPUTS
        x, saved = decoder.forward(tokens, keep)
        states, inverse = decoder.final_norm(x)
        targets = _joined(datums, "target_tokens").to(decoder.model.device)
        lengths = [len(datum.tokens) for datum in datums]
        return cls(decoder, lengths, tokens, targets, states[: tokens.number], (x, inverse), saved)

    def logprobs(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Log-probabilities of the targets of these rows."""
        return target_logprobs(self.decoder.unembedding, self.states[rows], self.targets[rows])

    def backward(self, counted: Tensor, derivative: Derivative) -> Tensor:
        """Log-probabilities of the counted rows, bool [rows]; gradients gather in their buffers."""
        found, to_counted = target_logprobs_and_gradient(
            self.decoder.unembedding, self.states[counted], self.targets[counted], derivative
        )
        if self.decoder.trains_blocks:
            x, inverse = self.last
            to_states = torch.zeros_like(x)
            to_states[: len(counted)][counted] = to_counted
            to_last = self.decoder.final_norm_backward(to_states, x, inverse)
            self.decoder.backward(self.tokens, self.saved, to_last)
        return found


@torch.no_grad()
def _compute(
    decoder: Decoder,
    datums: Sequence[Datum],
    loss: Loss,
    settings: Mapping[str, float],
    forward_only: bool,
    fits: bool,
) -> _Outcome:
    """One micro-batch: what each datum's tokens give, the loss summed up, and gradients in their buffers.

    `fits`: whether all may be kept that the backward pass needs.
    """
    device = decoder.model.device
    inputs = {name: _joined(datums, name).float().to(device) for name in loss.inputs}
    # Tokens of weight zero are reported but not differentiated: the unembedding is a large share of a small
    # model's work, and prompts are about half of the tokens.
    if loss.weight_input is None:
        counted = torch.ones(sum(len(datum.tokens) for datum in datums), dtype=torch.bool, device=device)
    else:
        weighs = inputs[loss.weight_input] != 0
        counted = weighs.reshape(len(weighs), -1).any(dim=1)
    learns = not forward_only and bool(counted.any())
    passed = _Passed.through(decoder, datums, learns, fits)
    if loss.ratio_input is not None:
        # Of a whole sequence, so it has to be known before the first of its tokens is differentiated.
        sampled, mask = inputs["logprobs"], inputs[loss.ratio_input]
        inputs[SEQUENCE_LOG_RATIO] = sequence_log_ratios(mask, passed.logprobs(), sampled, passed.lengths)
    logprobs = torch.empty(passed.targets.shape, device=device)
    logprobs[~counted] = passed.logprobs(~counted)
    if learns:
        mine = {name: values[counted] for name, values in inputs.items()}
        logprobs[counted] = passed.backward(counted, _derivative(loss, mine, settings))
    else:
        logprobs[counted] = passed.logprobs(counted)
    elementwise = loss.elementwise(inputs, logprobs, settings)
    outputs = _split(passed.lengths, {"logprobs": logprobs, "elementwise_loss": elementwise})
    return outputs, {"loss:sum": float(elementwise.sum(dtype=torch.float64))}


@torch.no_grad()
def _compute_custom(
    decoder: Decoder,
    batch: MicroBatch,
    datums: Sequence[Datum],
    loss: CustomLoss,
    forward_only: bool,
    budget: Budget,
) -> _Outcome:
    """One micro-batch of a custom loss, which reads all log-probabilities of a datum at once.

    So these are computed first, the loss is differentiated by them, and the rows whose derivative is not zero
    are scored a second time, for their gradients; the blocks of the model are passed once.
    """
    chosen = [datums[index] for index in batch.indices]
    passed = _Passed.through(decoder, chosen, not forward_only, batch.fits)
    logprobs = passed.logprobs()
    parts = cast(tuple[Tensor, ...], logprobs.cpu().split(passed.lengths))
    losses = [
        loss.compute(index, datum, part, not forward_only, budget)
        for index, datum, part in zip(batch.indices, chosen, parts, strict=True)
    ]
    gradients = [one.gradient for one in losses if one.gradient is not None]
    if gradients:
        by_logprob = torch.cat(gradients).to(logprobs)
        counted = (by_logprob != 0).reshape(len(logprobs), -1).any(dim=1)
        if bool(counted.any()):
            by_counted = by_logprob[counted]
            passed.backward(counted, lambda rows, _: by_counted[rows])
    sums = {"loss:sum": sum(one.value for one in losses)}
    for name in losses[0].metrics:
        sums[name] = sum(one.metrics[name] for one in losses)
    return _split(passed.lengths, {"logprobs": logprobs}), sums


def _derivative(loss: Loss, inputs: Mapping[str, Tensor], settings: Mapping[str, float]) -> Derivative:
    """The loss's derivative by each log-probability, of the rows that these inputs belong to."""

    def derivative(rows: slice, logprobs: Tensor) -> Tensor:
        with torch.enable_grad():
            free = logprobs.detach().requires_grad_()
            mine = {name: values[rows] for name, values in inputs.items()}
            return torch.autograd.grad(loss.elementwise(mine, free, settings).sum(), free)[0]

    return derivative


def _joined(datums: Sequence[Datum], name: str) -> Tensor:
    return torch.from_numpy(np.concatenate([datum.loss_inputs[name] for datum in datums]))


def _split(lengths: Sequence[int], fields: Mapping[str, Tensor]) -> list[DatumOutput]:
    """What belongs to each datum, of rows that lie one behind another."""
    parts = {
        name: cast(tuple[Tensor, ...], values.cpu().split(list(lengths))) for name, values in fields.items()
    }
    return [
        DatumOutput({name: part[index].numpy() for name, part in parts.items()})
        for index in range(len(lengths))
    ]
