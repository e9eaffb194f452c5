"""A loss that looks at whole sequences, against the formula written out in plain torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tinker_local.domain.datum import Datum
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import TrainingModel
from tinker_local.errors import RequestError
from tinker_local.loading import load_base_model

CPU = torch.device("cpu")
LENGTHS = (9, 24, 16)
SHIFTS = (0.0, 0.4, -0.4)
"""How far the mean log-ratio of each datum is from zero: within the bounds, above and below them."""


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Llama:
    return load_base_model(str(tiny_model), "float32", CPU).model


def random_adapter(base: Llama) -> Adapter:
    adapter = Adapter.initial(base.config, LoraConfig(4), 0, CPU)
    adapter.flat.normal_(std=0.05, generator=torch.Generator().manual_seed(3))
    return adapter


def own_logprobs(base: Llama, adapter: Adapter, datum: Datum) -> torch.Tensor:
    tokens, targets = (torch.from_numpy(x) for x in (datum.tokens, datum.loss_inputs["target_tokens"]))
    logits = base.logits(base.hidden(tokens[None], adapter.project), adapter.project)
    return torch.log_softmax(logits[0], -1).gather(1, targets[:, None])[:, 0]


def datums(base: Llama) -> list[Datum]:
    """Prompts of a third of each datum, marks behind them, and advantages of both signs in each."""
    generator = np.random.default_rng(4)
    made: list[Datum] = []
    for length, shift in zip(LENGTHS, SHIFTS, strict=True):
        tokens = generator.integers(0, 258, length + 1)
        answer = np.arange(length) >= length // 3
        bare = Datum(tokens[:-1], {"target_tokens": tokens[1:]})
        now = own_logprobs(base, random_adapter(base), bare).detach().numpy()
        noise = generator.normal(0, 0.3, length)
        noise[answer] -= noise[answer].mean()
        inputs = {
            "target_tokens": tokens[1:],
            "logprobs": (now - shift + noise).astype(np.float32),
            "advantages": (generator.normal(0, 1, length) * answer).astype(np.float32),
            "sequence_ratio_mask": answer.astype(np.float32),
        }
        made.append(Datum(tokens[:-1], inputs))
    return made


def gspo(logprobs: torch.Tensor, datum: Datum, low: float, high: float) -> torch.Tensor:
    """Token by token: s(theta) of arXiv:2507.18071, equation 7, with the stopped gradients of 14."""
    old, advantages, mask = (
        torch.from_numpy(datum.loss_inputs[name])
        for name in ("logprobs", "advantages", "sequence_ratio_mask")
    )
    marked = [t for t in range(len(old)) if mask[t] == 1]
    s = torch.exp(sum((logprobs[t] - old[t] for t in marked), torch.zeros(())) / len(marked)).detach()
    total = torch.zeros(())
    for t in range(len(old)):
        of_token = s * torch.exp(logprobs[t]) / torch.exp(logprobs[t]).detach()
        clipped = torch.clip(of_token, low, high)
        total = total - torch.min(of_token * advantages[t], clipped * advantages[t])
    return total


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [({}, 0.9997, 1.0004), ({"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}, 0.8, 1.2)],
)
def test_gspo_and_its_gradient_are_the_formula(
    base: Llama, config: dict[str, float], low: float, high: float
):
    """Sum and gradient equal plain autograd, for sequences within and beyond the bounds."""
    training = TrainingModel(base, random_adapter(base))
    _, metrics = training.forward_backward(datums(base), "gspo", forward_only=False, loss_config=config)

    flat = random_adapter(base).flat.requires_grad_()
    leaves = Adapter(base.config, training.adapter.config, flat)
    loss = torch.zeros(())
    for datum in datums(base):
        loss = loss + gspo(own_logprobs(base, leaves, datum), datum, low, high)
    loss.backward()
    assert metrics["loss:sum"] == pytest.approx(float(loss.detach()), abs=1e-3)
    assert float(flat.grad.abs().max()) > 0.01
    torch.testing.assert_close(training._gradients, flat.grad, atol=1e-4, rtol=1e-3)


def test_gspo_forward_alone_has_the_same_loss(base: Llama):
    """The loss without gradients is the loss with them, and none are gathered."""
    learning, looking = (TrainingModel(base, random_adapter(base)) for _ in range(2))
    _, metrics = learning.forward_backward(datums(base), "gspo", forward_only=False)
    _, forward = looking.forward_backward(datums(base), "gspo", forward_only=True)
    assert forward["loss:sum"] == pytest.approx(metrics["loss:sum"], abs=1e-5)
    assert not looking._gradients.any()


def test_a_sequence_without_marked_tokens_is_refused(base: Llama):
    """The mean over no token would be no number."""
    made = datums(base)
    empty = {**made[1].loss_inputs, "sequence_ratio_mask": np.zeros(LENGTHS[1], dtype=np.float32)}
    made[1] = Datum(made[1].tokens, empty)
    with pytest.raises(RequestError, match="Datum 1 has a sequence_ratio_mask that marks no token"):
        TrainingModel(base, random_adapter(base)).forward_backward(made, "gspo", forward_only=False)


def test_the_penalty_of_dro_is_counted_where_the_advantage_is_zero(base: Llama):
    """As hosted Tinker does it: no token is left out, though none has an advantage."""
    datum = datums(base)[1]
    inputs = {name: datum.loss_inputs[name] for name in ("target_tokens", "logprobs", "advantages")}
    inputs["advantages"] = np.zeros_like(inputs["advantages"])
    training = TrainingModel(base, random_adapter(base))
    outputs, metrics = training.forward_backward(
        [Datum(datum.tokens, inputs)], "dro", forward_only=False, loss_config={"beta": 0.05}
    )
    differences = outputs[0].fields["logprobs"] - inputs["logprobs"]
    assert metrics["loss:sum"] == pytest.approx(0.025 * float((differences**2).sum()), rel=1e-4)
    assert training._gradients.any()
