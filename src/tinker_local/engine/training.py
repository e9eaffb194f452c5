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

from tinker_local.engine.llama import Llama
from tinker_local.engine.lora import Adapter
from tinker_local.engine.losses import Loss, check_datums, find_loss, target_logprobs
from tinker_local.engine.products import rounded_up
from tinker_local.engine.threads import use_threads_for
from tinker_local.errors import CheckpointError, RequestError
from tinker_local.wire.datums import Datum, DatumOutput

TOKENS_PER_PASS = 4096
"""Datums are padded together up to about this many tokens, which bounds the memory of one pass."""

ROW_LENGTHS, SCORED_ROWS = 8, 64
"""Batches are padded to a multiple of this many tokens, and scored in a multiple of this many rows. Every
shape has a kernel made for it and kept, with memory of its own, so that there should be few shapes."""


@dataclass(frozen=True)
class AdamSettings:
    """The numbers of one Adam step; `grad_clip_norm` of zero or less means no clipping."""

    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    grad_clip_norm: float


class TrainingModel:
    """One adapter in training over a shared base model. Not thread-safe: the worker owns it."""

    def __init__(
        self,
        base: Llama,
        adapter: Adapter,
        optimizer_state: Mapping[str, Tensor] | None = None,
        trained_on: Callable[[], Llama] | None = None,
    ) -> None:
        """`trained_on` gives the base in the type to train in, and is asked when something is computed."""
        self.base = base
        self._trained_on = trained_on or (lambda: base)
        self.load(adapter, optimizer_state)

    def load(self, adapter: Adapter, optimizer_state: Mapping[str, Tensor] | None = None) -> None:
        """Train this adapter, in its own buffer, from now on; pending gradients are dropped.

        Adam starts anew without its state. Raises CheckpointError, and changes nothing, where the state
        is that of another adapter.
        """
        for name in ("exp_avg", "exp_avg_sq"):
            if optimizer_state is not None and optimizer_state[name].shape != adapter.flat.shape:
                raise CheckpointError("The optimizer state does not fit the adapter; save the state again.")
        self.adapter = adapter
        self._leaves, self._gradients = adapter.trainable()
        self._has_gradients = False
        parameter = torch.nn.Parameter(adapter.flat, requires_grad=False)
        parameter.grad = self._gradients
        # The library's AdamW over one flat parameter: decoupled weight decay, bias correction, and eps
        # outside the root, which is what the service documents.
        self._optimizer = torch.optim.AdamW([parameter], lr=0.0, fused=True)
        self._parameter = parameter
        if optimizer_state is not None:
            self._optimizer.state[parameter] = {
                name: optimizer_state[name].detach().clone().to(adapter.flat.device)
                for name in ("step", "exp_avg", "exp_avg_sq")
            }

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
        outputs: dict[int, DatumOutput] = {}
        total = 0.0
        with nullcontext() if forward_only else self._all_or_nothing():
            for indices in passes([len(datum.tokens) for datum in datums]):
                chosen = [datums[index] for index in indices]
                results, loss_sum = self._one_pass(chosen, loss, settings, forward_only)
                outputs.update(zip(indices, results, strict=True))
                total += loss_sum
        return [outputs[index] for index in range(len(datums))], {"loss:sum": total}

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

    def _one_pass(
        self, datums: Sequence[Datum], loss: Loss, settings: Mapping[str, float], forward_only: bool
    ) -> tuple[list[DatumOutput], float]:
        model = self._trained_on()
        device = model.device
        lengths = [len(datum.tokens) for datum in datums]
        longest = max(lengths)
        if len(datums) > 1:
            longest = min(rounded_up(longest, ROW_LENGTHS), self.base.config.max_position_embeddings)
        tokens = torch.zeros((len(datums), longest), dtype=torch.int64)
        for row, datum in enumerate(datums):
            # Padding stands on the right, where causal attention never looks back at it.
            tokens[row, : lengths[row]] = torch.from_numpy(datum.tokens)
        use_threads_for(self.base.num_parameters, tokens.numel(), passes=1 if forward_only else 3)
        is_token = torch.arange(longest) < torch.tensor(lengths)[:, None]
        targets = _joined(datums, "target_tokens").to(device)
        inputs = {name: _joined(datums, name).float().to(device) for name in loss.inputs}
        weights = inputs[loss.weight_input]
        counted = (weights != 0).reshape(len(targets), -1).any(dim=1)

        with torch.set_grad_enabled(not forward_only):
            hidden = model.hidden(tokens.to(device), self._leaves.project)[is_token.to(device)]
            logprobs = torch.zeros(targets.shape, device=device)
            # Tokens of weight zero are reported but not differentiated: the unembedding is a large
            # share of a small model's work, and prompts are about half of the tokens.
            if counted.any():
                scored = self._scored(model, hidden, targets, counted)
                if not forward_only:
                    counted_inputs = {name: values[counted] for name, values in inputs.items()}
                    loss.elementwise(counted_inputs, scored, settings).sum().backward()
                logprobs[counted] = scored.detach()
        if not counted.all():
            with torch.no_grad():
                logprobs[~counted] = self._scored(model, hidden.detach(), targets, ~counted)
        elementwise = loss.elementwise(inputs, logprobs, settings)
        return _split(lengths, logprobs, elementwise), float(elementwise.sum(dtype=torch.float64))

    def _scored(self, model: Llama, hidden: Tensor, targets: Tensor, chosen: Tensor) -> Tensor:
        """Log-probabilities of the targets of the rows that are chosen, in their order.

        Many rows are made a round number by repeating the last; of few, that would be too large a share.
        """
        rows = chosen.nonzero()[:, 0]
        number = len(rows)
        if number > 4 * SCORED_ROWS:
            rows = torch.cat([rows, rows[-1:].expand(rounded_up(number, SCORED_ROWS) - number)])
        return target_logprobs(model.logits(hidden[rows], self._leaves.project), targets[rows])[:number]

    def optim_step(self, settings: AdamSettings) -> dict[str, float]:
        """One Adam step on the gathered gradients, which are then cleared.

        Raises RequestError, and clears them, where they are not finite: the step would ruin the adapter.
        """
        # In double precision, where the squares of large finite gradients do not overflow.
        norm = float(cast(Tensor, torch.linalg.vector_norm(self._gradients, dtype=torch.float64)))
        if not math.isfinite(norm):
            self._gradients.zero_()
            self._has_gradients = False
            raise RequestError(
                "The gradients are not finite, so no step was taken; lower the weights or the learning rate."
            )
        if settings.grad_clip_norm > 0 and norm > settings.grad_clip_norm:
            self._gradients.mul_(settings.grad_clip_norm / norm)
        self._optimizer.param_groups[0].update(
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
        )
        self._optimizer.step()
        self._gradients.zero_()
        self._has_gradients = False
        return {"grad_norm:mean": norm}

    def optimizer_state(self) -> dict[str, Tensor]:
        """Copies of Adam's moments and step count; zeros before the first step."""
        state = self._optimizer.state.get(self._parameter)
        if not state:
            zeros = torch.zeros_like(self.adapter.flat)
            return {"exp_avg": zeros, "exp_avg_sq": zeros.clone(), "step": torch.zeros(())}
        return {name: state[name].clone() for name in ("exp_avg", "exp_avg_sq", "step")}


def passes(lengths: Sequence[int]) -> list[list[int]]:
    """Indices grouped so that padding is small and each group holds at most TOKENS_PER_PASS tokens.

    The longest come first, so what follows fits in the memory that the first pass needed.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= TOKENS_PER_PASS:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _joined(datums: Sequence[Datum], name: str) -> Tensor:
    return torch.from_numpy(np.concatenate([datum.loss_inputs[name] for datum in datums]))


def _split(lengths: Sequence[int], logprobs: Tensor, elementwise: Tensor) -> list[DatumOutput]:
    outputs: list[DatumOutput] = []
    start = 0
    for length in lengths:
        mine = slice(start, start + length)
        start += length
        fields = {"logprobs": logprobs[mine], "elementwise_loss": elementwise[mine]}
        outputs.append(DatumOutput({name: values.cpu().numpy() for name, values in fields.items()}))
    return outputs
