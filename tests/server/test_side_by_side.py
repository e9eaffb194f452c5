"""Clients that use one server at once do not disturb each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import tinker
from tinker import AdamParams, ModelInput, SamplingParams, TensorData, TrainingClient

from raw_client import tokens_of_step
from symptoms.service import LocalServer

STEPS = 12
LONG = SamplingParams(max_tokens=60, temperature=1.0, seed=1, stop=[])


@dataclass(frozen=True)
class Recipe:
    """How one run is trained."""

    rank: int
    learning_rate: float
    first_step: int
    unembed: bool = True


RECIPES = (
    Recipe(2, 1e-2, 0),
    Recipe(8, 3e-3, 40, unembed=False),
    Recipe(4, 0.0, 0),
    Recipe(16, 1e-2, 0),
)


@pytest.fixture(scope="module")
def service(server: LocalServer) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as made:
        yield made


def datum(step: int) -> tinker.Datum:
    tokens = tokens_of_step(step)
    return tinker.Datum(
        model_input=ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=tokens[1:], dtype="int64"),
            "weights": TensorData(data=[1.0] * (len(tokens) - 1), dtype="float32"),
        },
    )


def begin(service: tinker.ServiceClient, server: LocalServer, recipe: Recipe) -> TrainingClient:
    return service.create_lora_training_client(
        server.base_model, rank=recipe.rank, seed=1, train_unembed=recipe.unembed
    ).result()


def losses(training: TrainingClient, recipe: Recipe) -> list[float]:
    adam = AdamParams(learning_rate=recipe.learning_rate, beta1=0.9, beta2=0.95, eps=1e-8)
    sums: list[float] = []
    for step in range(recipe.first_step, recipe.first_step + STEPS):
        gradients = training.forward_backward([datum(step)], "cross_entropy")
        training.optim_step(adam).result()
        sums.append(gradients.result().metrics["loss:sum"])
    return sums


def test_runs_train_as_they_do_alone(service: tinker.ServiceClient, server: LocalServer):
    """Runs of other ranks, layers, rates and data on one base, trained at once, lose what each does alone."""
    alone = [losses(begin(service, server, recipe), recipe) for recipe in RECIPES]
    assert len({tuple(one) for one in alone}) == len(RECIPES)
    together = [begin(service, server, recipe) for recipe in RECIPES]
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(losses, together, RECIPES)) == alone


def test_a_sample_does_not_wait_for_a_queue_of_training(service: tinker.ServiceClient, server: LocalServer):
    """Sampling is answered while a hundred batches that were submitted before it are still to be done."""
    training = begin(service, server, RECIPES[0])
    sampler = service.create_sampling_client(base_model=server.base_model).result()
    batch = [datum(step) for step in range(20)]
    queue = [training.forward_backward(batch, "cross_entropy") for _ in range(100)]
    prompt = ModelInput.from_ints(tokens_of_step(0))
    for _ in range(3):
        sampler.sample(prompt, 1, SamplingParams(max_tokens=5, temperature=0.0)).result()
        assert not queue[-1].future().done()
    assert queue[-1].result().metrics["loss:sum"] > 0


def test_training_does_not_wait_for_a_queue_of_samples(service: tinker.ServiceClient, server: LocalServer):
    """A step is done while hundreds of samples that were asked for before it are still to be drawn."""
    training = begin(service, server, RECIPES[0])
    sampler = service.create_sampling_client(base_model=server.base_model).result()
    queue = [sampler.sample(ModelInput.from_ints(tokens_of_step(n)), 16, LONG) for n in range(40)]
    gradients = training.forward_backward([datum(0)], "cross_entropy")
    training.optim_step(AdamParams(learning_rate=1e-3)).result()
    assert not all(future.future().done() for future in queue)
    assert gradients.result().metrics["loss:sum"] > 0
    drawn = [sequence for future in queue for sequence in future.result().sequences]
    assert [len(sequence.tokens) for sequence in drawn] == [60] * 40 * 16
