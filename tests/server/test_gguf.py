"""A server that is given a GGUF file serves it to the real SDK as any other base model."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tinker
import torch
from tinker import AdamParams, ModelInput, SamplingParams, TensorData
from transformers import PreTrainedModel

from tiny_gguf import tiny_model, write_tiny_gguf
from waiting import PATIENCE

KEY = "tml-gguf"
TOKENS = [0, *range(30, 60)]


@dataclass(frozen=True)
class Served:
    """A file behind a server, what the server printed, and the model that the file was made from."""

    file: Path
    reference: PreTrainedModel
    ready: str
    terminal: int
    client: tinker.ServiceClient


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of one file, started as in a terminal."""
    root = tmp_path_factory.mktemp("served")
    file = root / "tiny.gguf"
    reference = tiny_model(root / "reference", "LlamaForCausalLM")
    write_tiny_gguf(file, reference)
    command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", str(file), "--port", "0"]
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [*command, "--stop-with-stdin", "--home", str(root / "home")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
        env={**os.environ, "TINKER_LOCAL_API_KEY": KEY, "TINKER_LOCAL_MODELS": str(root / "models")},
    ) as process:
        os.close(its_end)
        assert process.stdin is not None
        assert process.stdout is not None
        ready = process.stdout.readline()
        with tinker.ServiceClient(base_url=ready.split()[-1], api_key=KEY) as client:
            yield Served(file, reference, ready, terminal, client)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
        os.close(terminal)


def test_one_line_tells_of_the_conversion(served: Served):
    """Standard output begins with the ready line; a terminal is told before it that a file is converted."""
    assert served.ready.startswith("tinker-local is ready at http")
    told = os.read(served.terminal, 4096).decode().splitlines()
    assert told == ["tinker-local is converting tiny.gguf to float32 once (21 tensors)"]


def test_the_sdk_trains_and_samples_it(served: Served):
    """Loss, tokenizer, training and sampling work through the SDK, on the weights of the file."""
    training = served.client.create_lora_training_client(base_model=str(served.file), rank=4, seed=1).result()
    assert training.get_tokenizer().encode("he") == [0, 258]
    datum = tinker.Datum(
        model_input=ModelInput.from_ints(TOKENS[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=TOKENS[1:], dtype="int64"),
            "weights": TensorData(data=[1.0] * (len(TOKENS) - 1), dtype="float32"),
        },
    )
    adam = AdamParams(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-8)
    losses: list[float] = []
    for _ in range(5):
        gradients, update = training.forward_backward([datum], "cross_entropy"), training.optim_step(adam)
        losses.append(gradients.result().metrics["loss:sum"])
        update.result()
    with torch.no_grad():
        logprobs = served.reference(torch.tensor([TOKENS[:-1]])).logits[0].log_softmax(-1)
    expected = -logprobs.gather(1, torch.tensor(TOKENS[1:])[:, None]).sum()
    assert losses[0] == pytest.approx(expected.item(), abs=1e-2)
    assert losses[-1] < losses[0]
    sampler = training.save_weights_and_get_sampling_client().result()
    answer = sampler.sample(ModelInput.from_ints(TOKENS), 1, SamplingParams(max_tokens=4)).result()
    assert 1 <= len(answer.sequences[0].tokens) <= 4


def test_another_spelling_of_its_path(served: Served):
    """A client may spell the file's path in any way."""
    spelled = str(served.file.parent / "." / ".." / served.file.parent.name / served.file.name)
    sampler = served.client.create_sampling_client(base_model=spelled).result()
    prompt = ModelInput.from_ints(TOKENS)
    assert sampler.sample(prompt, 1, SamplingParams(max_tokens=1)).result().sequences[0].tokens
