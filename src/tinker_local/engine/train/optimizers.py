"""Optimizers over an adapter's flat buffer: AdamW, and what can be known of Dimuon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from tinker_local.engine.model.lora import Adapter
from tinker_local.errors import CheckpointError, RequestError

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
"""Muon's own polynomial and number of steps: https://kellerjordan.github.io/posts/muon/."""


@dataclass(frozen=True)
class AdamSettings:
    """The numbers of one Adam step; `grad_clip_norm` of zero or less means no clipping."""

    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    grad_clip_norm: float


@dataclass(frozen=True)
class DimuonSettings:
    """The numbers of one Dimuon step; `grad_clip_norm` of zero or less means no clipping."""

    learning_rate: float
    beta1: float
    grad_clip_norm: float


Settings = AdamSettings | DimuonSettings


class AdamW:
    """The library's AdamW over one flat parameter.

    Decoupled weight decay, bias correction, and eps outside the root, which is what the service documents.
    """

    name = "adamw"

    def __init__(self, adapter: Adapter, gradients: Tensor, state: Mapping[str, Tensor] | None) -> None:
        parameter = torch.nn.Parameter(adapter.flat, requires_grad=False)
        parameter.grad = gradients
        self._optimizer = torch.optim.AdamW([parameter], lr=0.0, fused=True)
        self._parameter = parameter
        if state is not None:
            self._optimizer.state[parameter] = {
                name: state[name].detach().clone().to(adapter.flat.device)
                for name in ("step", "exp_avg", "exp_avg_sq")
            }

    def step(self, settings: Settings) -> None:
        """One step of Adam; raises RequestError, and changes nothing, for another optimizer's settings."""
        if not isinstance(settings, AdamSettings):
            raise _other("adamw", "AdamParams", "with optimizer=DimuonOptimizerConfig() for DimuonParams")
        self._optimizer.param_groups[0].update(
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
        )
        self._optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Copies of Adam's moments and step count; zeros before the first step."""
        state = self._optimizer.state.get(self._parameter)
        if not state:
            zeros = torch.zeros_like(self._parameter.detach())
            return {"exp_avg": zeros, "exp_avg_sq": zeros.clone(), "step": torch.zeros(())}
        return {name: state[name].clone() for name in ("exp_avg", "exp_avg_sq", "step")}


class Dimuon:
    """Muon on every LoRA matrix: the running mean of its gradients, made orthogonal, with norm sqrt(rank).

    Known from the SDK are the names and defaults of its settings, that the learning rate is applied to a
    direction of Frobenius norm sqrt(rank), and that the direction is a matrix sign. Assumed is all else:
    Muon's own iteration, no Nesterov momentum, no weight decay. The preconditioner and the correction of the
    rate for ranks other than 32 that an earlier SDK names, without a formula, are left out.
    """

    name = "dimuon"

    def __init__(self, adapter: Adapter, gradients: Tensor, state: Mapping[str, Tensor] | None) -> None:
        momentum = torch.zeros_like(adapter.flat) if state is None else state["momentum"]
        self._adapter = adapter
        self._gradients = gradients
        self._momentum = momentum.detach().clone().to(adapter.flat.device)

    @torch.no_grad()
    def step(self, settings: Settings) -> None:
        """One step of Muon; raises RequestError, and changes nothing, for another optimizer's settings."""
        if not isinstance(settings, DimuonSettings):
            raise _other("dimuon", "DimuonParams", "without an optimizer for AdamParams")
        self._momentum.lerp_(self._gradients, 1 - settings.beta1)
        momentum = Adapter(self._adapter.model, self._adapter.config, self._momentum)
        for name, pair in self._adapter.matrices.items():
            for matrix, mean in zip(pair, momentum.matrices[name], strict=True):
                matrix.sub_(settings.learning_rate * direction(mean, self._adapter.config.rank))

    def state(self) -> dict[str, Tensor]:
        """A copy of the running mean of the gradients; zeros before the first step."""
        return {"momentum": self._momentum.clone()}


def direction(mean: Tensor, rank: int) -> Tensor:
    """The orthogonal matrix next to `mean` [n, m], by Newton-Schulz, with Frobenius norm sqrt(rank).

    Zero where `mean` is, as that of every A is at first.
    """
    wide = mean if mean.shape[0] <= mean.shape[1] else mean.T
    a, b, c = NEWTON_SCHULZ
    x = wide / _norm(wide)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    # In this order, since the root by the norm of zeros would be infinite.
    x = x / _norm(x) * math.sqrt(rank)
    return x if wide is mean else x.T


def _norm(matrix: Tensor) -> Tensor:
    """Its Frobenius norm; of zeros, a number that one may divide by."""
    norm = cast(Tensor, torch.linalg.vector_norm(matrix))
    return norm.clamp_min(torch.finfo(matrix.dtype).tiny)


Optimizer = AdamW | Dimuon
OPTIMIZERS: Mapping[str, type[Optimizer]] = {"adamw": AdamW, "dimuon": Dimuon}


def make_optimizer(
    name: str | None, adapter: Adapter, gradients: Tensor, state: Mapping[str, Tensor] | None
) -> Optimizer:
    """The optimizer of this name; None is that of the state, and AdamW without one.

    Raises CheckpointError where the state is that of another optimizer or another adapter.
    """
    stored = None if state is None else ("dimuon" if "momentum" in state else "adamw")
    if name is not None and stored is not None and stored != name:
        raise CheckpointError(
            f"The optimizer state is that of {stored}, and this run's is {name}; create a run from the "
            "checkpoint, or load it without the optimizer."
        )
    fitting = all(value.ndim == 0 or value.shape == adapter.flat.shape for value in (state or {}).values())
    if not fitting:
        raise CheckpointError("The optimizer state does not fit the adapter; save the state again.")
    return OPTIMIZERS[name or stored or "adamw"](adapter, gradients, state)


def _other(name: str, params: str, otherwise: str) -> RequestError:
    return RequestError(
        f"This run's optimizer is {name}; pass {params} to optim_step, or create a run {otherwise}."
    )
