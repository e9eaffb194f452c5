"""Dimuon's step against Muon written with singular values, and what belongs to an optimizer's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tinker_local.domain.datum import Datum
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.optimizers import AdamSettings, DimuonSettings, direction
from tinker_local.engine.train.trainer import TrainingModel
from tinker_local.errors import CheckpointError, RequestError
from tinker_local.loading import load_base_model

CPU = torch.device("cpu")
RANK = 4
STEP = DimuonSettings(learning_rate=0.02, beta1=0.9, grad_clip_norm=0.0)
ADAM = AdamSettings(1e-2, 0.9, 0.95, 1e-8, 0.0, 0.0)


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Llama:
    return load_base_model(str(tiny_model), "float32", CPU).model


def fresh(base: Llama, optimizer: str | None = "dimuon") -> TrainingModel:
    adapter = Adapter.initial(base.config, LoraConfig(RANK), 0, CPU)
    adapter.flat.normal_(std=0.05, generator=torch.Generator().manual_seed(3))
    return TrainingModel(base, adapter, optimizer=optimizer)


def datum(seed: int) -> Datum:
    tokens = np.random.default_rng(seed).integers(0, 258, 25)
    return Datum(tokens[:-1], {"target_tokens": tokens[1:], "weights": np.ones(24, dtype=np.float32)})


def by_singular_values(mean: torch.Tensor) -> torch.Tensor:
    """Muon's odd polynomial, five times, on the singular values; then the norm that the SDK names."""
    u, values, vt = torch.linalg.svd(mean.double(), full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    found = u @ torch.diag(values) @ vt
    return found * (RANK**0.5 / found.square().sum().sqrt())


def test_a_fresh_adapter_of_any_rank_takes_its_first_step(base: Llama):
    """B is zero then and so is the gradient of every A, whose direction is zero, too."""
    for rank in (4, 16, 32, 64):
        training = TrainingModel(
            base, Adapter.initial(base.config, LoraConfig(rank), 0, CPU), optimizer="dimuon"
        )
        before = training.adapter.snapshot()
        training.forward_backward([datum(0)], "cross_entropy", forward_only=False)
        training.optim_step(STEP)
        for name, (a, b) in training.adapter.matrices.items():
            assert torch.equal(a, before.matrices[name][0])
            assert b.isfinite().all()
            assert b.any()


def test_three_steps_are_muons(base: Llama):
    """Every matrix moves by the rate times the orthogonal running mean of its own gradients."""
    training = fresh(base)
    expected = {name: [m.clone().double() for m in pair] for name, pair in training.adapter.matrices.items()}
    means = {name: [torch.zeros_like(m) for m in pair] for name, pair in expected.items()}
    for seed in range(3):
        training.forward_backward([datum(seed)], "cross_entropy", forward_only=False)
        gradients = Adapter(base.config, training.adapter.config, training._gradients.clone())
        training.optim_step(STEP)
        for name, pair in gradients.matrices.items():
            for index, gradient in enumerate(pair):
                means[name][index] = 0.9 * means[name][index] + 0.1 * gradient.double()
                expected[name][index] -= 0.02 * by_singular_values(means[name][index])
    for name, pair in training.adapter.matrices.items():
        for matrix, wanted in zip(pair, expected[name], strict=True):
            torch.testing.assert_close(matrix.double(), wanted, atol=2e-4, rtol=0)


@pytest.mark.parametrize("shape", [(4, 64), (64, 4), (4, 4), (2, 3)])
def test_a_direction_has_the_norm_of_the_rank(shape: tuple[int, int]):
    """Whatever the size of the gradients, and zero where there are none."""
    mean = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for scale in (1e-12, 1.0, 1e12):
        assert direction(mean * scale, RANK).norm() == pytest.approx(RANK**0.5, rel=1e-4)
    assert not direction(torch.zeros(shape), RANK).any()


def test_it_learns_from_a_fresh_adapter(base: Llama):
    """Though every B is zero at first, and so every gradient of an A."""
    training = TrainingModel(base, Adapter.initial(base.config, LoraConfig(RANK), 0, CPU), optimizer="dimuon")
    losses: list[float] = []
    for _ in range(20):
        _, metrics = training.forward_backward([datum(1)], "cross_entropy", forward_only=False)
        losses.append(metrics["loss:sum"])
        training.optim_step(STEP)
    assert losses[-1] < 0.5 * losses[0]


def test_the_state_continues_exactly(base: Llama):
    """A run from the state, whose optimizer is told by the state alone, takes the same steps."""
    first = fresh(base)
    first.forward_backward([datum(1)], "cross_entropy", forward_only=False)
    first.optim_step(STEP)
    second = TrainingModel(base, first.adapter.snapshot(), first.optimizer_state())
    assert second.optimizer == "dimuon"
    for training in (first, second):
        training.forward_backward([datum(2)], "cross_entropy", forward_only=False)
        training.optim_step(STEP)
    assert torch.equal(first.adapter.flat, second.adapter.flat)


def test_other_numbers_and_states_are_refused(base: Llama):
    """Neither optimizer takes the other's settings or state, and what was gathered stays."""
    for name, settings, sentence in (
        ("dimuon", ADAM, "pass DimuonParams"),
        ("adamw", STEP, "pass AdamParams"),
    ):
        training = fresh(base, name)
        training.forward_backward([datum(1)], "cross_entropy", forward_only=False)
        with pytest.raises(RequestError, match=sentence):
            training.optim_step(settings)
        assert training._gradients.any()
    with pytest.raises(CheckpointError, match="state is that of adamw, and this run's is dimuon"):
        fresh(base).load(fresh(base).adapter, fresh(base, "adamw").optimizer_state())
