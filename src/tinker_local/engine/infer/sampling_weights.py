"""What is sampled from: a base model with at most one adapter, neither of which training changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tokenizers import Tokenizer

from tinker_local.engine.infer.networks.network import Network
from tinker_local.engine.infer.speculation import PromptLookup
from tinker_local.engine.model.llama import Llama

_NUMBERS = count(1)


@dataclass(frozen=True, eq=False)
class SamplingWeights:
    """Weights that samplers share. Their requests run in one batch, and compute a prompt's prefix once.

    `network` gives what to compute with; it has the shape and type of `base`. `number` belongs to these
    weights alone: what was computed with them is known by it.
    """

    base: Llama
    tokenizer: Tokenizer
    network: Callable[[], Network]
    lookup: PromptLookup = field(default_factory=PromptLookup)
    number: int = field(default_factory=lambda: next(_NUMBERS))
