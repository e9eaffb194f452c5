"""A custom loss: its graph computed operation by operation, for one datum at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from tinker_local.domain.datum import Datum
from tinker_local.domain.loss_graph import Constant, LossGraph, LossInput, Node, Reference
from tinker_local.engine.train.custom import sizes
from tinker_local.engine.train.custom.operations import (
    KEYWORDS,
    MAX_NUMBER,
    SAYS_NOTHING,
    WORDS,
    Operation,
    find_operation,
)
from tinker_local.errors import RequestError

MAX_ELEMENTS = 2**25
"""That all operations on one datum may make or pass over: 128 MiB in float32, and about twice that with what
the gradient needs."""
MAX_ELEMENTS_OF_ALL = 2**30
"""The same for all datums of a request, so that no request takes minutes from the others."""
MAX_CALLS = 2**21
"""Of operations for all datums of a request: each takes some microseconds, however small it is."""

_DTYPES = {
    "bfloat16": torch.bfloat16,
    "bool": torch.bool,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
    "int32": torch.int32,
    "int64": torch.int64,
}


@dataclass
class Budget:
    """Elements that the operations on the datums of one request may still make or pass over."""

    left: int = field(default_factory=lambda: MAX_ELEMENTS_OF_ALL)


@dataclass(frozen=True)
class DatumLoss:
    """What the loss says of one datum: its value, its metrics, and its gradient by each log-probability.

    `gradient` has the shape of the log-probabilities, float32; None where it was not asked for.
    """

    value: float
    metrics: Mapping[str, float]
    gradient: Tensor | None


@dataclass(frozen=True)
class _Step:
    node: Node
    operation: Operation
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class CustomLoss:
    """A traced loss whose every operation is allowed, computed on the processor as the client would."""

    name: str
    inputs: tuple[LossInput, ...]
    _placeholders: tuple[str, ...]
    _steps: tuple[_Step, ...]
    _loss: Reference
    _metrics: Mapping[str, Reference]

    @classmethod
    def of(cls, graph: LossGraph) -> CustomLoss:
        """Raises RequestError at the first operation that is not allowed, by its name."""
        calls = [node for node in graph.nodes if node.kind in ("call_function", "call_method")]
        loss, metrics = graph.nodes[-1].args
        return cls(
            graph.name,
            graph.inputs,
            tuple(node.name for node in graph.nodes if node.kind == "placeholder"),
            tuple(_Step(node, find_operation(node.kind, node.target), _named(node)) for node in calls),
            loss,
            metrics,
        )

    def check(self, datums: Sequence[Datum]) -> None:
        """Raise RequestError at the first datum that lacks what the loss reads, or has it in another rank."""
        calls = len(self._steps) + len(self._metrics)
        if len(datums) * calls > MAX_CALLS:
            raise RequestError(
                f"The loss {self.name!r} has {calls} operations and metrics, and with {len(datums)} datums "
                f"over {MAX_CALLS} of them; send smaller batches."
            )
        for index, datum in enumerate(datums):
            for wanted in self.inputs:
                key = "target_tokens" if wanted.name == "logprobs" else wanted.name
                values = datum.loss_inputs.get(key)
                if values is None:
                    raise RequestError(
                        f"Datum {index} has no {key}, which the loss {self.name!r} reads; add it to its loss "
                        "inputs."
                    )
                # A number comes as one without a shape.
                rank = 0 if wanted.rank == 0 and values.shape == (1,) else values.ndim
                if rank != wanted.rank:
                    raise RequestError(
                        f"Datum {index} has {key} of shape {values.shape}, but the loss {self.name!r} "
                        f"declares {wanted.name} with rank {wanted.rank}; send that."
                    )

    def compute(
        self, index: int, datum: Datum, logprobs: Tensor, with_gradient: bool, budget: Budget
    ) -> DatumLoss:
        """The loss of a datum that passed `check`, from float32 log-probabilities [n] or [n, k].

        `index` names the datum in errors; what it takes is taken from the `budget`. Raises RequestError where
        an operation fails or takes more than its share of memory, and where a loss is no number or its
        gradient not finite.
        """
        where = f"The loss {self.name!r} of datum {index}"
        free = logprobs.detach().cpu().requires_grad_(with_gradient)
        inputs = [free, *(_tensor(datum.loss_inputs[wanted.name], wanted.rank) for wanted in self.inputs[1:])]
        values: dict[str, Any] = dict(zip(self._placeholders, inputs, strict=True))
        limit = left = min(MAX_ELEMENTS, budget.left)
        with torch.set_grad_enabled(with_gradient):
            for step in self._steps:
                values[step.node.name], left = _call(step, values, left, where)
        budget.left -= limit - left
        loss = values[self._loss.name]
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else "no tensor"
            raise RequestError(f"{where} is no single number but {shape}; return a scalar tensor.")
        return DatumLoss(
            float(loss.detach()),
            {name: _number(values[of.name], f"{where}: metric {name}") for name, of in self._metrics.items()},
            _gradient(loss, free, where) if with_gradient else None,
        )


def _gradient(loss: Tensor, logprobs: Tensor, where: str) -> Tensor:
    try:
        found = torch.autograd.grad(loss, logprobs, allow_unused=True)[0] if loss.requires_grad else None
    except RuntimeError as error:
        raise RequestError(f"{where} cannot be differentiated: {_said(error)}; change the loss.") from error
    if found is None:
        raise RequestError(f"{where} does not depend on logprobs; there is nothing to learn from it.")
    if not bool(found.isfinite().all()):
        raise RequestError(
            f"{where} has a gradient that is not finite; look for a division by zero, a logarithm of zero or "
            "an exponential that is too large."
        )
    return found


def _call(step: _Step, values: Mapping[str, Any], left: int, where: str) -> tuple[Any, int]:
    """The result of a step, and how many elements are left for the steps after it."""
    node = step.node
    try:
        args = [_resolved(one, values) for one in node.args]
        kwargs = {name: _resolved(one, values) for name, one in step.kwargs.items()}
        if node.kind == "call_method" and not (args and isinstance(args[0], Tensor)):
            raise TypeError("only methods of tensors are called")
        read = sizes.largest(args, kwargs)
        left -= max(read, step.operation.size(args, kwargs))
        if left < 0:
            raise RequestError(
                f"{where} takes more than the {MAX_ELEMENTS} elements of a datum, or than are left of the "
                f"{MAX_ELEMENTS_OF_ALL} of a request, by {node.name!r} ({node.target}); make smaller tensors "
                "or send smaller batches."
            )
        return _allowed(step.operation.function(*args, **kwargs)), left
    except (ArithmeticError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"{where} cannot be computed: {node.name!r} ({node.target}) failed: {_said(error)}; change the "
            "loss or its inputs."
        ) from error


def _said(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Reference):
        return values[value.name]
    if isinstance(value, Constant):
        return _constant(value)
    if isinstance(value, list):
        return [_resolved(one, values) for one in cast(list[Any], value)]
    if isinstance(value, tuple):
        return tuple(_resolved(one, values) for one in cast(tuple[Any, ...], value))
    if isinstance(value, slice):
        ends = cast(Any, value)
        return slice(*(_resolved(one, values) for one in (ends.start, ends.stop, ends.step)))
    return value


def _constant(constant: Constant) -> Any:
    if constant.kind == "dtype" and constant.name in _DTYPES:
        return _DTYPES[constant.name]
    if constant.kind == "device" and constant.name == "cpu":
        return torch.device("cpu")
    raise RequestError(
        f"The {constant.kind} {constant.name!r} is not offered to custom losses; leave it out, or use one "
        f"of: {'cpu' if constant.kind == 'device' else ', '.join(_DTYPES)}."
    )


def _named(node: Node) -> dict[str, Any]:
    """The named arguments that say something; raises RequestError for one that is not passed on."""
    kept: dict[str, Any] = {}
    for name, value in node.kwargs.items():
        if value is None or (name in SAYS_NOTHING and value == SAYS_NOTHING[name]):
            continue
        if name not in KEYWORDS or (isinstance(value, str) and name not in WORDS):
            raise RequestError(
                f"The operation {node.target!r} is given {name[:64]}={str(value)[:64]}, which a custom loss "
                "may not do; leave it out."
            )
        kept[name] = value
    # Of getattr, the text is the attribute, which is looked up in a list.
    if node.target != "getattr" and any(isinstance(one, str) for one in node.args):
        raise RequestError(
            f"The operation {node.target!r} is given a text, which a custom loss may not do; leave it out."
        )
    for value in (*node.args, *kept.values()):
        _check_constants(value)
    return kept


def _check_constants(value: Any) -> None:
    """Told when the loss is created, and not when it is used."""
    if isinstance(value, Constant):
        _constant(value)
    elif isinstance(value, list | tuple):
        for one in cast(Sequence[Any], value):
            _check_constants(one)


def _allowed(value: Any) -> Any:
    """What an operation gave, where it is of a kind that another one may take."""
    if isinstance(value, int | float):
        if isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise OverflowError(f"the number is over {MAX_NUMBER}")
        return value
    if isinstance(value, Tensor | tuple | torch.dtype | torch.device):
        return cast(Any, value)
    raise TypeError(f"it gives a {type(value).__name__}, which nothing can be computed from")


def _number(value: Any, what: str) -> float:
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value.detach())
    if isinstance(value, int | float):
        return float(value)
    raise RequestError(f"{what} is no single number; return a scalar tensor.")


def _tensor(values: np.ndarray, rank: int) -> Tensor:
    """A copy, in the type that the client's own tensor has."""
    wide = values.astype(np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32)
    return torch.from_numpy(wide.reshape(()) if rank == 0 else wide)
