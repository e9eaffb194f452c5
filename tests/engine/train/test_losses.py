"""Every loss and its gradient against the formula written out in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tinker_local.domain.datum import Datum
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.losses import check_datums, find_loss
from tinker_local.engine.train.trainer import TrainingModel
from tinker_local.errors import RequestError
from tinker_local.loading import load_base_model

CPU = torch.device("cpu")
LENGTH = 24
Formula = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def importance_sampling(logprobs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    return -(torch.exp(logprobs - old) * advantages).sum()


def ppo(low: float, high: float) -> Formula:
    def formula(logprobs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        for logprob, before, advantage in zip(logprobs, old, advantages, strict=True):
            ratio = torch.exp(logprob - before)
            clipped = torch.clip(ratio, low, high)
            total = total - torch.min(ratio * advantage, clipped * advantage)
        return total

    return formula


def cispo(low: float, high: float) -> Formula:
    def formula(logprobs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
        coefficient = torch.clip(torch.exp(logprobs - old), low, high).detach()
        return -(coefficient * logprobs * advantages).sum()

    return formula


def dro(beta: float) -> Formula:
    def formula(logprobs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
        return -(logprobs * advantages - 0.5 * beta * (logprobs - old) ** 2).sum()

    return formula


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Llama:
    return load_base_model(str(tiny_model), "float32", CPU).model


def random_adapter(base: Llama) -> Adapter:
    adapter = Adapter.initial(base.config, LoraConfig(4), 0, CPU)
    adapter.flat.normal_(std=0.05, generator=torch.Generator().manual_seed(3))
    return adapter


@pytest.mark.parametrize(
    ("name", "config", "formula"),
    [
        ("importance_sampling", {}, importance_sampling),
        ("ppo", {}, ppo(0.8, 1.2)),
        ("ppo", {"clip_low_threshold": 0.5, "clip_high_threshold": 3.0}, ppo(0.5, 3.0)),
        ("cispo", {}, cispo(0.0, 4.0)),
        ("cispo", {"clip_high_threshold": 1.1}, cispo(0.0, 1.1)),
        ("dro", {"beta": 0.3}, dro(0.3)),
    ],
)
def test_losses_and_gradients_are_the_formulas(
    base: Llama, name: str, config: dict[str, float], formula: Formula
):
    """Sum and gradient equal plain torch, with ratios beyond both bounds and some zero advantages."""
    generator = np.random.default_rng(4)
    tokens = generator.integers(0, 258, LENGTH + 1)
    adapter = random_adapter(base)
    logits = base.logits(base.hidden(torch.from_numpy(tokens[None, :-1]), adapter.project), adapter.project)
    targets = torch.from_numpy(tokens[1:])
    now = torch.log_softmax(logits[0], -1).gather(1, targets[:, None])[:, 0].detach().numpy()
    old = (now + generator.normal(0, 0.6, LENGTH)).astype(np.float32)
    advantages = (generator.normal(0, 1, LENGTH) * (np.arange(LENGTH) >= 5)).astype(np.float32)
    datum = Datum(tokens[:-1], {"target_tokens": tokens[1:], "logprobs": old, "advantages": advantages})
    training = TrainingModel(base, adapter)
    _, metrics = training.forward_backward([datum], name, forward_only=False, loss_config=config)

    flat = random_adapter(base).flat.requires_grad_()
    leaves = Adapter(base.config, adapter.config, flat)
    logits = base.logits(base.hidden(torch.from_numpy(tokens[None, :-1]), leaves.project), leaves.project)
    logprobs = torch.log_softmax(logits[0], -1).gather(1, targets[:, None])[:, 0]
    loss = formula(logprobs, torch.from_numpy(old), torch.from_numpy(advantages))
    loss.backward()
    assert metrics["loss:sum"] == pytest.approx(float(loss.detach()), abs=1e-3)
    torch.testing.assert_close(training._gradients, flat.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "config", "sentence"),
    [
        ("ppo", {"clip_epsilon": 0.2}, "no setting 'clip_epsilon'; it has: clip_low_threshold"),
        ("cispo", {"clip_high_threshold": "four"}, "not a finite number"),
        ("cross_entropy", {"temperature": 2.0}, "no setting 'temperature'; it has: none"),
        ("dro", {}, "no default for 'beta'"),
        ("dro", {"beta": 0.1, "tau": 1.0}, "no setting 'tau'; it has: beta"),
        ("gspo", {"epsilon": 0.1}, "no setting 'epsilon'; it has: clip_low_threshold"),
        ("custom", {}, "not offered here; use one of: cross_entropy"),
        ("stable_reinforce", {}, "its formula is not known"),
    ],
)
def test_wrong_settings_are_refused(base: Llama, name: str, config: dict[str, float | str], sentence: str):
    """Settings that a loss does not have are never ignored."""
    datum = Datum(np.arange(5), {"target_tokens": np.arange(5)})
    with pytest.raises(RequestError, match=sentence):
        TrainingModel(base, random_adapter(base)).forward_backward([datum], name, False, config)


def test_inputs_that_a_loss_does_not_read_are_refused(base: Llama):
    """A mask or thresholds for each token are not passed over in silence."""
    ones = np.ones(5, dtype=np.float32)
    inputs = {"target_tokens": np.arange(5), "logprobs": ones, "advantages": ones, "weights": ones}
    with pytest.raises(RequestError, match="Datum 0 has weights, which this loss does not read"):
        TrainingModel(base, random_adapter(base)).forward_backward(
            [Datum(np.arange(5), inputs)], "dro", False, {"beta": 0.1}
        )


def test_more_targets_of_a_token_than_anyone_means_are_refused():
    """Room for them would be taken for every token."""
    inputs = {
        "target_tokens": np.ones((2, 1025), dtype=np.int64),
        "weights": np.ones((2, 1025), dtype=np.float32),
    }
    with pytest.raises(RequestError, match="1025 target_tokens for each token; give at most 1024"):
        check_datums([Datum(np.ones(2, dtype=np.int64), inputs)], find_loss("cross_entropy"), 10, 10)


@pytest.mark.parametrize("widths", [(0,), (None, 2), (2, 3)])
def test_targets_of_unequal_width_are_refused(widths: tuple[int | None, ...]):
    """Every token of a request has the same number of targets, and at least one."""
    datums: list[Datum] = []
    for width in widths:
        shape = (3,) if width is None else (3, width)
        inputs = {
            "target_tokens": np.ones(shape, dtype=np.int64),
            "weights": np.ones(shape, dtype=np.float32),
        }
        datums.append(Datum(np.ones(3, dtype=np.int64), inputs))
    with pytest.raises(RequestError, match="same number of targets"):
        check_datums(datums, find_loss("cross_entropy"), 10, 10)
