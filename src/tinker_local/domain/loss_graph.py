"""A loss that a client traced, as data: what is computed from what, by name. Nothing in it can be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["placeholder", "call_function", "call_method", "output"]


@dataclass(frozen=True)
class Reference:
    """The result of the node of this name."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A constant of torch: `kind` is "dtype" or "device", `name` as torch writes it, such as "float32"."""

    kind: str
    name: str


@dataclass(frozen=True)
class Node:
    """One operation.

    Arguments are numbers, text, None, `...`, References, Constants, and lists, tuples and slices of these.
    Of an output node, which is the last, `args` are the Reference of the loss and a dictionary of those of
    the metrics.
    """

    kind: Kind
    name: str
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class LossInput:
    """What a loss reads of each datum: `rank` is 0 for a number, 1 for [n], 2 for [n, k]."""

    name: str
    rank: int


@dataclass(frozen=True)
class LossGraph:
    """A loss of one datum. `inputs` begin with the log-probabilities; nodes refer to earlier ones only."""

    name: str
    inputs: tuple[LossInput, ...]
    nodes: tuple[Node, ...]
