"""Memory for keys and values, in pages of a few tokens that sequences share and give back.

A sequence is a list of pages, so memory is taken as sequences grow, and what begins alike is held once: a
page counts its users, and is free when it has none (Kwon et al. 2023, arXiv:2309.06180).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import psutil
import torch
from torch import Tensor

from tinker_local.engine.model.llama import LlamaConfig

PAGE_TOKENS = 16
"""Tokens of a page. Smaller pages share more and waste less, larger ones are copied together faster."""
MOST_BYTES = 2**30
"""Keys and values of all sequences of one base model take at most this, or a quarter of the free memory."""
FREE_SHARE = 4


def token_bytes(config: LlamaConfig, dtype: torch.dtype) -> int:
    """Bytes of the keys and values of one token in all layers."""
    return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * dtype.itemsize


def default_pages(config: LlamaConfig, dtype: torch.dtype, device: torch.device) -> int:
    """As many pages as the budget holds, at least enough for a short text."""
    on_gpu = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
    budget = min(MOST_BYTES, free // FREE_SHARE)
    return max(budget // (PAGE_TOKENS * token_bytes(config, dtype)), 16)


class KeyValuePages:
    """Keys and values [layers, pages, PAGE_TOKENS, kv_heads, head_dim]. Not thread-safe: the worker owns it.

    With `keys_by_width`, keys are [layers, pages, kv_heads, head_dim, PAGE_TOKENS], so that a query meets all
    keys of a page at once.

    Free pages hold zeros, since what is masked is still multiplied, by zero. Page 0 stays empty: page tables
    are filled up with it. On a CPU the system gives memory only to pages that were written.
    """

    def __init__(
        self,
        config: LlamaConfig,
        dtype: torch.dtype,
        device: torch.device,
        num_pages: int | None = None,
        keys_by_width: bool = False,
    ) -> None:
        """`num_pages` counts those that sequences may use."""
        self.num_pages = default_pages(config, dtype, device) if num_pages is None else num_pages
        heads, width = config.num_key_value_heads, config.head_dim
        self.keys_by_width = keys_by_width
        shape = (config.num_hidden_layers, self.num_pages + 1, PAGE_TOKENS, heads, width)
        of_keys = (*shape[:2], heads, width, PAGE_TOKENS) if keys_by_width else shape
        self.keys, self.values = _zeros(of_keys, dtype, device), _zeros(shape, dtype, device)
        self._users = [0] * (self.num_pages + 1)
        # The last is taken first, so that pages which were written before are written again.
        self._free = dict.fromkeys(range(self.num_pages, 0, -1))

    @property
    def num_free(self) -> int:
        """How many pages `take` can still give, of PAGE_TOKENS tokens each."""
        return len(self._free)

    def take(self, after: int | None = None) -> int | None:
        """A free page, the one behind `after` where it is free, for one user; None where none is left."""
        if not self._free:
            return None
        if after is not None and after + 1 in self._free:
            page = after + 1
            del self._free[page]
        else:
            page, _ = self._free.popitem()
        self._users[page] = 1
        return page

    def share(self, page: int) -> int:
        """Count one more user of a page."""
        self._users[page] += 1
        return page

    def users(self, page: int) -> int:
        """How many sequences and remembered prompts hold the page; 0 where it is free."""
        return self._users[page]

    def give_back(self, pages: Sequence[int]) -> None:
        """Count one user less of each page."""
        for page in pages:
            self._users[page] -= 1
            if self._users[page] == 0:
                self.keys[:, page].zero_()
                self.values[:, page].zero_()
                self._free[page] = None

    def copy(self, source: int, target: int) -> None:
        """Write to one page what stands in another."""
        for tensor in (self.keys, self.values):
            tensor[:, target] = tensor[:, source]

    def layer(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, laid out as they are here."""
        return self.keys[layer], self.values[layer]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    # torch would write the zeros at once; numpy leaves that to the system until a page is used.
    return (
        torch.from_numpy(np.zeros(math.prod(shape) * dtype.itemsize, dtype=np.uint8)).view(dtype).view(shape)
    )
