"""Custom losses that the real SDK uploads, computed by the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tinker
import torch
import torch.nn.functional as F
from tinker import AdamParams, ModelInput, TensorData
from torch import Tensor

from http_in_process import Serving, serving
from raw_client import KEY
from tinker_local.engine.train import micro_batches

STEP = AdamParams(learning_rate=1e-2)
TOKENS = [0, *range(30, 60)]
RANKS = {"logprobs": 1, "weights": 1, "reference": 1, "preferred": 0}
Returned = tuple[Tensor, dict[str, Tensor]]


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tiny_model, tmp_path_factory.mktemp("custom-loss")) as made:
        yield made


@pytest.fixture
def client(server: Serving) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=server.url, api_key=KEY) as made:
        yield made


def datum(length: int, preferred: float = 1.0) -> tinker.Datum:
    tokens = [TOKENS[index % 31] + index // 31 for index in range(length + 1)]
    numbers = np.random.default_rng(length)
    return tinker.Datum(
        model_input=ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=tokens[1:], dtype="int64"),
            "weights": TensorData.from_numpy((np.arange(length) >= length // 3).astype(np.float32)),
            "reference": TensorData.from_numpy(numbers.normal(-5.5, 0.3, length).astype(np.float32)),
            "preferred": TensorData(data=[preferred], dtype="float32", shape=[]),
        },
    )


DATA = [datum(7), datum(30, -1.0), datum(19), datum(4, -1.0)]


def cross_entropy(logprobs: Tensor, weights: Tensor, reference: Tensor, preferred: Tensor) -> Returned:
    loss = -(logprobs * weights).sum()
    return loss, {}


def preference(logprobs: Tensor, weights: Tensor, reference: Tensor, preferred: Tensor) -> Returned:
    """Of the whole answer's log-ratio, as in DPO and KTO: no token's part can be told alone."""
    log_ratio = ((logprobs - reference) * weights).sum()
    loss = -F.logsigmoid(0.1 * preferred * log_ratio)
    return loss, {"custom/log_ratio:mean": log_ratio, "custom/right:sum": (preferred * log_ratio > 0).float()}


def clipped_with_divergence(
    logprobs: Tensor, weights: Tensor, reference: Tensor, preferred: Tensor
) -> Returned:
    ratio = torch.exp(logprobs - reference)
    gain = torch.minimum(ratio * preferred, torch.clamp(ratio, 0.8, 1.2) * preferred)
    divergence = torch.exp(reference - logprobs) - (reference - logprobs) - 1
    answer = logprobs[weights > 0]
    loss = (0.05 * divergence - gain).mul(weights).sum() / weights.sum().clamp(min=1)
    return loss, {
        "custom/kl:mean": divergence.mean(),
        "custom/worst:mean": answer.min(),
        "custom/tokens:sum": weights.sum(),
    }


def of_many_operations(logprobs: Tensor, weights: Tensor, reference: Tensor, preferred: Tensor) -> Returned:
    number = logprobs.shape[0]
    falling = 0.9 ** torch.arange(number)
    focal = (1 - logprobs.exp()) ** 2 * -logprobs * falling
    masked = logprobs.masked_fill(weights == 0, float("-inf")).logsumexp(0)
    best = (
        logprobs.topk(2, dim=0).values.mean()
        - logprobs.max(dim=0)[0]
        + logprobs[-1]
        - logprobs[None, 1:].mean()
    )
    soft = F.softmax(logprobs, dim=-1) @ reference + F.softplus(logprobs).sum() / number**0.5
    pair = torch.stack([focal.sum(), masked]).sum() + torch.cat([logprobs, reference]).std()
    more = (
        F.smooth_l1_loss(logprobs, reference)
        + F.relu(logprobs + 6).sum()
        + torch.where(weights > 0, logprobs.detach() * logprobs, torch.zeros_like(logprobs)).norm()
    )
    return pair + best + soft + more, {"custom/best:sum": best, "custom/focal:mean": focal.mean()}


def trained(
    client: tinker.ServiceClient, server: Serving, data: list[tinker.Datum], loss: Any
) -> tuple[tinker.ForwardBackwardOutput, np.ndarray]:
    """What a batch gives, and the weights after a step on its gradients."""
    training = client.create_lora_training_client(base_model=server.model, rank=4, seed=1).result()
    # So that no matrix of the adapter is zero, and all have gradients.
    inputs = {name: DATA[1].loss_fn_inputs[name] for name in ("target_tokens", "weights")}
    first = tinker.Datum(model_input=DATA[1].model_input, loss_fn_inputs=inputs)
    training.forward_backward([first], "cross_entropy").result()
    training.optim_step(STEP).result()
    output = training.forward_backward_custom(data, loss).result()
    training.optim_step(STEP).result()
    run = server.state.runs.find(training.model_id)
    return output, run.trained().adapter.flat.clone().numpy()


@pytest.mark.parametrize("little_memory", [False, True], ids=["one pass", "micro-batches"])
@pytest.mark.parametrize("loss", [cross_entropy, preference, clipped_with_divergence, of_many_operations])
def test_as_in_the_client(
    client: tinker.ServiceClient,
    server: Serving,
    loss: Callable[..., Returned],
    little_memory: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    """Loss, metrics, log-probabilities and the step are those of the client's own two passes."""
    if little_memory:
        monkeypatch.setattr(micro_batches, "ACTIVATIONS", 1)
    handle = client.create_custom_loss(loss, RANKS).result()
    assert handle.loss_id is not None
    here, stepped = trained(client, server, DATA, handle)
    there, expected = trained(client, server, DATA, replace(handle, loss_id=None))
    assert here.metrics.pop("loss:sum") == pytest.approx(there.metrics.pop("loss:sum"), rel=1e-5)
    assert "surrogate_loss:sum" in there.metrics
    del there.metrics["surrogate_loss:sum"]
    assert here.metrics == pytest.approx(there.metrics, rel=1e-5)
    for mine, theirs in zip(here.loss_fn_outputs, there.loss_fn_outputs, strict=True):
        np.testing.assert_allclose(mine["logprobs"].to_numpy(), theirs["logprobs"].to_numpy(), atol=1e-5)
    np.testing.assert_allclose(stepped, expected, atol=2e-5)


def test_two_datums_are_compared_in_the_client(client: tinker.ServiceClient, server: Serving):
    """A function of all datums, such as DPO's, cannot be traced for one, and runs in the client as before."""

    def dpo(data: list[tinker.Datum], logprobs: list[Tensor]) -> Any:
        chosen, rejected = (
            (
                (mine - one.loss_fn_inputs["reference"].to_torch()) * one.loss_fn_inputs["weights"].to_torch()
            ).sum()
            for one, mine in zip(data, logprobs, strict=True)
        )
        return -F.logsigmoid(0.1 * (chosen - rejected)), {"margin:mean": float((chosen - rejected).detach())}

    output, _ = trained(client, server, DATA[:2], dpo)
    assert 0.3 < output.metrics["loss:sum"] < 1.5
    assert "surrogate_loss:sum" in output.metrics


def test_several_targets_for_a_token(client: tinker.ServiceClient, server: Serving):
    """Log-probabilities [n, k] with a distribution over them, as distilling has it."""
    tokens = TOKENS[:9]
    data = [
        tinker.Datum(
            model_input=ModelInput.from_ints(tokens),
            loss_fn_inputs={
                "target_tokens": TensorData.from_numpy(np.arange(60, 87).reshape(9, 3)),
                "teacher": TensorData.from_numpy(np.full((9, 3), 1 / 3, dtype=np.float32)),
            },
        )
    ]

    def distil(logprobs: Tensor, teacher: Tensor) -> Returned:
        loss = (teacher * (teacher.log() - logprobs)).sum(dim=-1).mean()
        return loss, {"custom/kl:mean": loss}

    handle = client.create_custom_loss(distil, {"logprobs": 2, "teacher": 2}).result()
    here, stepped = trained(client, server, data, handle)
    there, expected = trained(client, server, data, replace(handle, loss_id=None))
    assert here.metrics["custom/kl:mean"] == pytest.approx(there.metrics["custom/kl:mean"], rel=1e-5)
    np.testing.assert_allclose(stepped, expected, atol=2e-5)


def test_an_operation_that_is_not_allowed_is_named(client: tinker.ServiceClient):
    """Refused when the loss is created, with the way that is left, which the SDK does not take by itself."""

    def inverse(logprobs: Tensor) -> Returned:
        return torch.linalg.inv(logprobs[None] * logprobs[:, None]).sum(), {}

    with pytest.raises(
        tinker.RequestFailedError, match=r"linalg_inv.*a plain function of \(data, logprobs\)"
    ):
        client.create_custom_loss(inverse, {"logprobs": 1}).result()


def test_a_loss_that_fails_leaves_no_gradient(client: tinker.ServiceClient, server: Serving):
    """Where the gradient of one datum is not finite, those of the others are not added either."""

    def logarithm(logprobs: Tensor, weights: Tensor) -> Returned:
        return (logprobs.exp().sum() / weights.sum()).log(), {}

    handle = client.create_custom_loss(logarithm, {"logprobs": 1, "weights": 1}).result()
    training = client.create_lora_training_client(base_model=server.model, rank=4, seed=1).result()
    nothing = tinker.Datum(
        model_input=DATA[3].model_input,
        loss_fn_inputs={
            "target_tokens": DATA[3].loss_fn_inputs["target_tokens"],
            "weights": TensorData(data=[0.0] * 4, dtype="float32"),
        },
    )
    with pytest.raises(tinker.RequestFailedError, match="of datum 1 has a gradient that is not finite"):
        training.forward_backward_custom([DATA[0], nothing], handle).result()
    assert training.optim_step(STEP).result().metrics["grad_norm:mean"] == 0


def test_forward_alone_adds_no_gradient(client: tinker.ServiceClient, server: Serving):
    """The loss and its metrics without gradients, also of what no gradient leads back from."""

    def certain(logprobs: Tensor) -> Returned:
        return (logprobs > -5.5).sum(), {"custom/least:mean": logprobs.min()}

    handle = client.create_custom_loss(certain, {"logprobs": 1}).result()
    training = client.create_lora_training_client(base_model=server.model, rank=4, seed=1).result()
    output = training.forward(DATA, "custom", {"loss_id": handle.loss_id or ""}).result()
    logprobs = [one["logprobs"].to_numpy() for one in output.loss_fn_outputs]
    assert output.metrics["loss:sum"] == sum((one > -5.5).sum() for one in logprobs)
    assert output.metrics["custom/least:mean"] == pytest.approx(np.mean([one.min() for one in logprobs]))
    assert training.optim_step(STEP).result().metrics["grad_norm:mean"] == 0


def test_no_other_sessions_loss(client: tinker.ServiceClient, server: Serving):
    """A loss is known by its id to the session that created it, and to no other."""
    handle = client.create_custom_loss(cross_entropy, RANKS).result()
    with tinker.ServiceClient(base_url=server.url, api_key=KEY) as other:
        training = other.create_lora_training_client(base_model=server.model, rank=4).result()
        with pytest.raises(tinker.RequestFailedError, match="that its session created"):
            training.forward_backward(DATA, "custom", {"loss_id": handle.loss_id or ""}).result()


def test_what_the_loss_reads_must_be_there(client: tinker.ServiceClient, server: Serving):
    """The SDK checks it first; the server, too, for those that do not."""
    handle = client.create_custom_loss(cross_entropy, RANKS).result()
    training = client.create_lora_training_client(base_model=server.model, rank=4).result()
    inputs = {name: one for name, one in DATA[0].loss_fn_inputs.items() if name != "reference"}
    without = tinker.Datum(model_input=DATA[0].model_input, loss_fn_inputs=inputs)
    config = {"loss_id": handle.loss_id or ""}
    with pytest.raises(tinker.RequestFailedError, match="Datum 1 has no reference"):
        training.forward_backward([DATA[0], without], "custom", config).result()
    inputs["reference"] = TensorData.from_numpy(np.ones((7, 1), dtype=np.float32))
    wrong = tinker.Datum(model_input=DATA[0].model_input, loss_fn_inputs=inputs)
    with pytest.raises(tinker.RequestFailedError, match="declares reference with rank 1"):
        training.forward_backward([wrong], "custom", config).result()
