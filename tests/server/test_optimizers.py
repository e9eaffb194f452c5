"""The optimizer of a run, through the real SDK: chosen at its creation, kept by its states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tinker
from tinker import AdamParams, ModelInput, TensorData
from tinker.types import DimuonOptimizerConfig, DimuonParams

from symptoms.service import LocalServer

TOKENS = [0, *range(30, 60)]
STEP = DimuonParams(learning_rate=0.02)


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as made:
        yield made


def of(training: tinker.TrainingClient) -> dict[str, Any]:
    return training.get_info().optimizer_config.model_dump()


def losses(training: tinker.TrainingClient, number: int) -> list[float]:
    datum = tinker.Datum(
        model_input=ModelInput.from_ints(TOKENS[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=TOKENS[1:], dtype="int64"),
            "weights": TensorData(data=[1.0] * 30, dtype="float32"),
        },
    )
    found: list[float] = []
    for _ in range(number):
        gradients = training.forward_backward([datum], "cross_entropy")
        update = training.optim_step(STEP)
        found.append(gradients.result().metrics["loss:sum"])
        update.result()
    return found


def test_dimuon_trains_and_resumes(client: tinker.ServiceClient, server: LocalServer):
    """The loss falls; a client from the state has the same optimizer and the same next losses."""
    training = client.create_lora_training_client(
        base_model=server.base_model, rank=4, seed=1, optimizer=DimuonOptimizerConfig()
    ).result()
    assert of(training) == DimuonOptimizerConfig().model_dump()
    first = losses(training, 10)
    assert first[-1] < 0.5 * first[0]
    state = training.save_state("muon").result().path
    resumed = client.create_training_client_from_state_with_optimizer(state).result()
    assert of(resumed) == DimuonOptimizerConfig().model_dump()
    assert losses(resumed, 3) == losses(training, 3)


def test_the_other_optimizers_numbers_are_refused(client: tinker.ServiceClient, server: LocalServer):
    """Adam's for a run of Dimuon, Dimuon's for a run of Adam, and the state of one for the other."""
    muon, adam = (
        client.create_lora_training_client(
            base_model=server.base_model, rank=4, seed=1, optimizer=optimizer
        ).result()
        for optimizer in (DimuonOptimizerConfig(), None)
    )
    assert of(adam)["type"] == "adamw"
    with pytest.raises(tinker.RequestFailedError, match="optimizer is dimuon; pass DimuonParams"):
        muon.optim_step(AdamParams()).result()
    with pytest.raises(tinker.RequestFailedError, match="optimizer is adamw; pass AdamParams"):
        adam.optim_step(STEP).result()
    state = muon.save_state("of-muon").result().path
    # The SDK warns of this method.
    with (
        pytest.warns(FutureWarning),
        pytest.raises(tinker.RequestFailedError, match="state is that of dimuon"),
    ):
        adam.load_state_with_optimizer(state).result()
