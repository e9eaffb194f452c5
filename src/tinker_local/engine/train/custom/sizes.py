"""How many elements an operation makes or passes over, told before it is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

Size = Callable[[Sequence[Any], Mapping[str, Any]], int]
"""(arguments, named arguments) -> elements; raises ValueError or RuntimeError where they do not fit."""


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors among arguments, also those in lists, tuples and slices."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in cast(Sequence[Any], value):
            yield from tensors_in(one)
    elif isinstance(value, slice):
        ends = cast(Any, value)
        yield from tensors_in((ends.start, ends.stop, ends.step))


def _tensors(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    return [*tensors_in(tuple(args)), *tensors_in(tuple(kwargs.values()))]


def size_of(shape: Sequence[int]) -> int:
    """Elements of a tensor, its empty dimensions counted as if they had one: their sum is not empty."""
    return math.prod(max(length, 1) for length in shape)


def broadcast(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of what combines its tensors element by element, or makes less of one tensor."""
    return _together(_tensors(args, kwargs))


def _together(tensors: Sequence[Tensor]) -> int:
    return size_of(cast(Sequence[int], torch.broadcast_shapes(*(tensor.shape for tensor in tensors))))


def largest(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of what gives as many as one of its tensors has."""
    return max((size_of(tensor.shape) for tensor in _tensors(args, kwargs)), default=0)


def joined(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of what puts its tensors together."""
    return sum(size_of(tensor.shape) for tensor in _tensors(args, kwargs))


def indexed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of `tensor[index]` and of index_select: an index of numbers may take an element many times."""
    if not args or not isinstance(args[0], Tensor):
        return 0
    taken, *rest = _tensors(args, kwargs)
    numbers = [tensor for tensor in rest if tensor.dtype != torch.bool]
    if not numbers:
        return size_of(taken.shape)
    # Which dimensions are indexed is not asked: if the smallest are, the most is left of the others.
    return _together(numbers) * size_of(sorted(taken.shape)[len(numbers) :])


def multiplied(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of a product of matrices or vectors: its multiplications."""
    found = _tensors(args, kwargs)
    if len(found) != 2 or max(tensor.ndim for tensor in found) > 2:
        raise ValueError("it takes two tensors of at most two dimensions")
    return size_of(found[0].shape) * (max(found[1].shape[1], 1) if found[1].ndim == 2 else 1)


def told(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of what repeats a tensor, or makes one, by sizes that it is told."""
    del kwargs
    # Of a tensor, torch would read a size from its value.
    if next(tensors_in(tuple(args[1:])), None) is not None:
        raise ValueError("sizes are whole numbers and no tensors")
    return max(largest(args[:1], {}), 1) * math.prod(abs(one) or 1 for one in _whole_numbers(args))


def counted(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of arange."""
    numbers = [*args, *(value for name, value in kwargs.items() if name in ("start", "end", "step"))]
    if not all(isinstance(one, int | float) for one in numbers) or not 1 <= len(numbers) <= 2:
        raise ValueError("it takes an end, or a start and an end, as numbers")
    return math.ceil(sum(abs(one) for one in numbers))


def _whole_numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, list | tuple):
        for one in cast(Sequence[Any], value):
            yield from _whole_numbers(one)
