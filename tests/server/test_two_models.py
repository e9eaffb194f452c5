"""One server serves several base models, each as what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tinker
import torch
from tinker import AdamParams, ModelInput, SamplingParams, TensorData
from transformers import AutoModelForCausalLM

from tiny_models import write_tiny_model
from waiting import PATIENCE

KEY = "tml-two-models"
TOKENS = [0, *range(30, 60)]
SERVED = ("MistralForCausalLM", "Qwen3ForCausalLM")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny model of each architecture on disk."""
    root = tmp_path_factory.mktemp("served")
    for architecture in SERVED:
        write_tiny_model(root / architecture, architecture)
    return {architecture: root / architecture for architecture in SERVED}


@pytest.fixture(scope="module")
def address(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where one real server listens that was given --base-model twice."""
    command = [sys.executable, "-m", "tinker_local", "serve", "--port", "0", "--stop-with-stdin"]
    for folder in folders.values():
        command += ["--base-model", str(folder)]
    home = tmp_path_factory.mktemp("home")
    with subprocess.Popen(
        [*command, "--home", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TINKER_LOCAL_API_KEY": KEY},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert " ready at " in ready
        yield ready.split()[-1]
        # Without its parent's end of the pipe the server ends by itself.
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=address, api_key=KEY) as made:
        yield made


def test_both_are_on_offer(address: str, folders: dict[str, Path]):
    """The capabilities name every model that was given."""
    rest = tinker.RestClient(base_url=address, api_key=KEY)
    offered = rest.get_server_capabilities().result().supported_models
    assert {model.model_name for model in offered} == {str(folder) for folder in folders.values()}


@pytest.mark.parametrize("architecture", SERVED)
def test_each_trains_and_samples(client: tinker.ServiceClient, folders: dict[str, Path], architecture: str):
    """A step on each starts from the reference's own loss, lowers it, and is what sampling then scores."""
    folder = folders[architecture]
    training = client.create_lora_training_client(base_model=str(folder), rank=4, seed=1).result()
    assert training.get_info().model_data.arch == architecture
    datum = tinker.Datum(
        model_input=ModelInput.from_ints(TOKENS[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=TOKENS[1:], dtype="int64"),
            "weights": TensorData(data=[1.0] * 30, dtype="float32"),
        },
    )
    gradients = training.forward_backward([datum], "cross_entropy")
    training.optim_step(AdamParams(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-8)).result()
    before = gradients.result().metrics["loss:sum"]
    reference = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logprobs = torch.log_softmax(reference(torch.tensor([TOKENS[:-1]])).logits[0], -1)
    expected = -logprobs.gather(1, torch.tensor(TOKENS[1:])[:, None]).sum()
    assert before == pytest.approx(float(expected), abs=1e-3)
    after = training.forward([datum], "cross_entropy").result().metrics["loss:sum"]
    assert after < before
    sampler = training.save_weights_and_get_sampling_client().result()
    scored = sampler.compute_logprobs(ModelInput.from_ints(TOKENS)).result()
    assert -sum(scored[1:]) == pytest.approx(after, abs=1e-3)
    params = SamplingParams(max_tokens=5, temperature=0.0)
    prompt = ModelInput.from_ints(TOKENS[:9])
    sequence = sampler.sample(prompt, num_samples=1, sampling_params=params).result().sequences[0]
    assert len(sequence.tokens) == 5 or sequence.stop_reason == "stop"
