"""Which way a base model with an adapter is sampled from, and what is laid out for that."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from tinker_local.engine.infer.networks.native_network import NativeBase, NativeNetwork, is_native
from tinker_local.engine.infer.networks.network import Network, TorchNetwork
from tinker_local.engine.kernels.native.few_rows import BlockLengths
from tinker_local.engine.model.kept_copies import KeptCopies
from tinker_local.engine.model.llama import Llama, plain_projection
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.model.merging import MEMORY, MergedModels
from tinker_local.engine.model.packing import may_be_packed, packed


class Networks:
    """One for each base and adapter, made when first asked for. Not thread-safe: the worker owns it."""

    def __init__(self) -> None:
        self._merged = MergedModels()
        self._packed: WeakKeyDictionary[Llama, Llama] = WeakKeyDictionary()
        self._lengths = BlockLengths()
        self._bases: WeakKeyDictionary[Llama, NativeBase] = WeakKeyDictionary()
        self._native: KeptCopies[NativeNetwork] = KeptCopies(MEMORY)

    @property
    def num_copies(self) -> int:
        """How many were laid out for sampling and are held."""
        return self._merged.num_copies + self._native.number

    def get(self, base: Llama, adapter: Adapter | None) -> Network:
        """What computes the base with the adapter beside it, or folded in where that is faster."""
        if is_native(base):
            return self._native.get(base if adapter is None else adapter, lambda: self._made(base, adapter))
        merged = self._merged.get(base, adapter)
        if merged is not None:
            return TorchNetwork(merged, plain_projection)
        if may_be_packed(base):
            if base not in self._packed:
                self._packed[base] = packed(base)
            base = self._packed[base]
        return TorchNetwork(base, plain_projection if adapter is None else adapter.project)

    def _made(self, base: Llama, adapter: Adapter | None) -> tuple[NativeNetwork, int]:
        if NativeBase.is_small(base):
            own = NativeBase(base, self._lengths, adapter)
            return NativeNetwork(own, None, self._lengths), 2 * base.num_bytes
        if base not in self._bases:
            self._bases[base] = NativeBase(base, self._lengths)
        # An adapter's matrices are held as they are, and in panels.
        size = 0 if adapter is None else 2 * adapter.flat.nbytes
        return NativeNetwork(self._bases[base], adapter, self._lengths), size
