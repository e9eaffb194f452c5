"""Adapters as one: a checkpoint that changes each layer by the mean of what those of others change.

Trainings from the same base that differ in their seed end in different places of one wide valley, and the
mean of their weights is mostly better than any of them, at the price of one (Wortsman et al. 2022, "Model
soups", arXiv:2203.05482). Of adapters the products B A are averaged, not A and B themselves, which each
training turns as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from tinker_local.engine.model.llama import LlamaConfig
from tinker_local.engine.model.lora import ALPHA, Adapter, LoraConfig, num_parameters
from tinker_local.errors import CheckpointError
from tinker_local.loading import load_base_model
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore, check_run_name, parse_path

CPU = torch.device("cpu")
SAMPLED, TRAINED = "sampler_weights", "weights"


@dataclass(frozen=True)
class Averaged:
    """The checkpoints that were written.

    `lost` is the share of the mean's squared norm, over all layers, that its rank leaves out; 0 where the
    rank is the sum of the ranks or more.
    """

    weights: str
    """The path to train on from, without an optimizer's state."""
    sampler_weights: str
    """The path to sample from."""
    base_model: str
    rank: int
    lost: float


def average_checkpoints(
    paths: Sequence[str],
    store: CheckpointStore,
    name: str,
    rank: int | None,
    tell: Callable[[str], None] = lambda _: None,
) -> Averaged:
    """Write `tinker://<name>/weights/1` and `tinker://<name>/sampler_weights/1`.

    Raises CheckpointError where there are fewer than two, the name is taken or none, or they are not of one
    base model and the same kinds of layers; NotFoundError for a path; StartupError for the base.
    """
    parsed = [parse_path(text) for text in paths]
    if len({*parsed}) < max(2, len(parsed)):
        raise CheckpointError("An average is made of two checkpoints or more, each named once; name others.")
    infos = [store.info(path) for path in parsed]
    for path, info in zip(parsed, infos, strict=True):
        for what, one, other in (
            ("on the same base model", info.base_model, infos[0].base_model),
            ("of the same kinds of layers", _kinds(info.lora), _kinds(infos[0].lora)),
        ):
            if one != other:
                raise CheckpointError(
                    f"{path} is not {what} as {parsed[0]}; name checkpoints of one base and one setting."
                )
    check_run_name(name)
    places = (CheckpointPath(name, TRAINED, "1"), CheckpointPath(name, SAMPLED, "1"))
    for place in places:
        if store.folder(place).exists():
            raise CheckpointError(f"{place} exists already; choose another name.")
    base = infos[0].base_model
    tell(f"loading {base}")
    config = load_base_model(base, "auto", CPU, tell).model.config
    tell("averaging")
    adapters = [store.load(path, config)[1] for path in parsed]
    mean, lost = mean_of(adapters, config, rank)
    told = {"average_of": ", ".join(paths)}
    saved = [store.save(place, base, mean, user_metadata=told).path for place in places]
    return Averaged(saved[0], saved[1], base, mean.config.rank, lost)


def mean_of(
    adapters: Sequence[Adapter], model: LlamaConfig, rank: int | None = None
) -> tuple[Adapter, float]:
    """The adapter with the mean of what these change, and the share of its squared norm that is left out.

    Exact with the sum of their ranks, which is the default; with a lower rank each layer's nearest in the
    Frobenius norm (Eckart and Young 1936).
    """
    whole = sum(adapter.config.rank for adapter in adapters)
    chosen = whole if rank is None else min(rank, whole)
    first = adapters[0].config
    config = LoraConfig(chosen, first.train_attn, first.train_mlp, first.train_unembed)
    mean = Adapter(model, config, torch.zeros(num_parameters(model, config)))
    kept, total = 0.0, 0.0
    for name, (a, b) in mean.matrices.items():
        terms = [adapter.matrices[name] for adapter in adapters]
        wide = torch.cat([term[0] for term in terms]).double()
        tall = torch.cat(
            [
                term[1].double() * (adapter.scale / len(adapters))
                for adapter, term in zip(adapters, terms, strict=True)
            ],
            dim=1,
        )
        left, strengths, right = _singular(tall, wide)
        kept += float((strengths[:chosen] ** 2).sum())
        total += float((strengths**2).sum())
        # Rows and columns of one size, so that neither is lost in a smaller type.
        root = strengths[:chosen].sqrt()
        a[: len(root)] = (root[:, None] * right[:chosen]).float()
        b[:, : len(root)] = (left[:, :chosen] * root).float() * (chosen / ALPHA)
    return mean, (1 - kept / total if chosen < whole and total else 0.0)


def _singular(tall: Tensor, wide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The singular value decomposition of tall @ wide, float64, by that of its small core."""
    left, upper = cast(tuple[Tensor, Tensor], torch.linalg.qr(tall))
    right, lower = cast(tuple[Tensor, Tensor], torch.linalg.qr(wide.T))
    u, strengths, v = cast(
        tuple[Tensor, Tensor, Tensor], torch.linalg.svd(upper @ lower.T, full_matrices=False)
    )
    return left @ u, strengths, v @ right.T


def _kinds(config: LoraConfig) -> tuple[bool, bool, bool]:
    return config.train_attn, config.train_mlp, config.train_unembed
