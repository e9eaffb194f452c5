"""LoRA adapters (Hu et al. 2021, arXiv:2106.09685): a low-rank term beside each frozen linear layer.

    y = x W^T + (alpha / rank) * (x A^T) B^T

All matrices of an adapter live in one flat float32 buffer, and so do their gradients. An optimizer step,
a clipping norm, a snapshot and a reset are then one operation each instead of one for every matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.matmul import matmul
from tinker_local.engine.kernels.weight import Weight, times
from tinker_local.engine.model.llama import LlamaConfig, layers_of, linear_layer_shapes

ALPHA = 32.0
"""The service fixes alpha at 32 whatever the rank, so the learning rate need not follow the rank."""


@dataclass(frozen=True)
class LoraConfig:
    """Which layers an adapter changes, and by matrices of which rank."""

    rank: int
    train_attn: bool = True
    train_mlp: bool = True
    train_unembed: bool = True
    alpha: float = ALPHA


def adapted_layers(model: LlamaConfig, config: LoraConfig) -> dict[str, tuple[int, int]]:
    """The linear layers with an adapter: name -> (out_features, in_features)."""
    return {
        name: shape
        for name, shape in linear_layer_shapes(model).items()
        if (config.train_attn and ".self_attn." in name)
        or (config.train_mlp and ".mlp." in name)
        or (config.train_unembed and name == "lm_head")
    }


def num_parameters(model: LlamaConfig, config: LoraConfig) -> int:
    """Trainable numbers of an adapter: rank * (in + out) for each layer."""
    return sum(config.rank * (out + into) for out, into in adapted_layers(model, config).values())


class Adapter:
    """The matrices of one adapter over one flat buffer, usable as a model's projection."""

    def __init__(self, model: LlamaConfig, config: LoraConfig, flat: Tensor) -> None:
        """Views into `flat`, float32 [num_parameters]; the buffer is used as it is, not copied."""
        self.model = model
        self.config = config
        self.flat = flat
        self.scale = config.alpha / config.rank
        self.matrices: dict[str, tuple[Tensor, Tensor]] = {}
        offset = 0
        for name, (out, into) in adapted_layers(model, config).items():
            pair: list[Tensor] = []
            for shape in ((config.rank, into), (out, config.rank)):
                size = math.prod(shape)
                pair.append(flat[offset : offset + size].view(shape))
                offset += size
            self.matrices[name] = (pair[0], pair[1])

    @classmethod
    def initial(cls, model: LlamaConfig, config: LoraConfig, seed: int, device: torch.device) -> Adapter:
        """A new adapter: A uniform within 1/sqrt(in_features), as PEFT starts it, and B zero.

        With B at zero the adapted model begins as exactly the base model. The draw is made on the CPU
        so that one seed gives one adapter on every device.
        """
        adapter = cls(model, config, torch.zeros(num_parameters(model, config)))
        generator = torch.Generator().manual_seed(seed)
        for a, _ in adapter.matrices.values():
            bound = a.shape[1] ** -0.5
            a.uniform_(-bound, bound, generator=generator)
        return adapter.to(device)

    def to(self, device: torch.device) -> Adapter:
        """The same numbers on a device; the buffer itself where it is there already."""
        return Adapter(self.model, self.config, self.flat.to(device))

    def snapshot(self) -> Adapter:
        """A copy that no later training step changes."""
        return Adapter(self.model, self.config, self.flat.detach().clone())

    def project(self, name: str, x: Tensor, weight: Weight) -> Tensor:
        """The base layer, or joined ones, plus this adapter's terms, which are computed in float32.

        With gradients to the input and the matrices where they are asked for, as autograd takes them;
        training itself goes another way (`kernels/linear.py`).
        """
        pairs = [self.matrices[layer] for layer in layers_of(name) if layer in self.matrices]
        if not pairs:
            return times(x, weight)
        outputs, wide, start = times(x, weight), x.float(), 0
        if torch.is_grad_enabled() and (x.requires_grad or pairs[0][0].requires_grad):
            terms = [self.scale * F.linear(F.linear(wide, a), b) for a, b in pairs]
            return outputs + torch.cat(terms, dim=-1).to(x.dtype)
        # Layers of one input have adapters all or none.
        for a, b in pairs:
            term = matmul(matmul(wide, a), b)
            part = outputs[..., start : start + len(b)]
            part.add_(term.to(part.dtype) if self.scale == 1.0 else (term * self.scale).to(part.dtype))
            start += len(b)
        return outputs
