"""Copies of models for sampling, as many as a budget of memory holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter

Copy = TypeVar("Copy")


@dataclass
class _Kept(Generic[Copy]):
    copy: Copy
    size: int
    last_use: int


class KeptCopies(Generic[Copy]):
    """One copy for each model or adapter, gone with it; the one used longest ago goes where memory ends.

    A copy must not hold what it belongs to. Not thread-safe: the worker owns it.
    """

    def __init__(self, memory: int) -> None:
        """`memory` is how many bytes all of them may take, but for the newest, which is always kept."""
        self._memory = memory
        self._kept: WeakKeyDictionary[Llama | Adapter, _Kept[Copy]] = WeakKeyDictionary()
        self._uses = count()

    @property
    def number(self) -> int:
        """How many are held now."""
        return len(self._kept)

    def get(self, key: Llama | Adapter, make: Callable[[], tuple[Copy, int]]) -> Copy:
        """The copy that belongs to `key`, made with its size in bytes where there is none."""
        if key not in self._kept:
            copy, size = make()
            self._kept[key] = _Kept(copy, size, 0)
        kept = self._kept[key]
        kept.last_use = next(self._uses)
        self._drop_oldest()
        return kept.copy

    def _drop_oldest(self) -> None:
        by_age = sorted(self._kept.items(), key=lambda item: item[1].last_use)
        excess = sum(kept.size for _, kept in by_age) - self._memory
        for key, kept in by_age[:-1]:
            if excess <= 0:
                return
            del self._kept[key]
            excess -= kept.size
