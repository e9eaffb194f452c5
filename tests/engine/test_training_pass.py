"""The training pass gives the same losses and gradients however it is cut to bound its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinker_local.engine import micro_batches
from tinker_local.engine.kernels import attention, cross_entropy
from tinker_local.engine.llama import Llama
from tinker_local.engine.lora import Adapter, LoraConfig
from tinker_local.engine.training import TrainingModel
from tinker_local.loading import load_base_model
from tinker_local.wire.datums import Datum
from tiny_models import write_tiny_model

CPU = torch.device("cpu")
ARCHITECTURES = ["LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"]


def datum(length: int, seed: int) -> Datum:
    generator = np.random.default_rng(seed)
    tokens = generator.integers(0, 258, length + 1)
    weights = (np.arange(length) >= length // 3).astype(np.float32)
    return Datum(tokens[:-1], {"target_tokens": tokens[1:], "weights": weights})


def trained(model: Llama, lengths: list[int]) -> tuple[list[np.ndarray], torch.Tensor]:
    """Log-probabilities and gradients of datums under an adapter at work."""
    adapter = Adapter.initial(model.config, LoraConfig(4), 0, CPU)
    adapter.flat.normal_(std=0.1, generator=torch.Generator().manual_seed(3))
    training = TrainingModel(model, adapter)
    datums = [datum(length, seed) for seed, length in enumerate(lengths)]
    outputs, _ = training.forward_backward(datums, "cross_entropy", forward_only=False)
    return [output.fields["logprobs"] for output in outputs], training._gradients


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("change", ["recomputed", "small batches", "query blocks", "few rows", "joined"])
def test_cuts_do_not_show(architecture: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Blocks computed twice, small micro-batches, blocks of queries, few scored rows or joined layers."""
    write_tiny_model(tmp_path, architecture)
    model = load_base_model(str(tmp_path), "float32", CPU).model
    lengths = [37, 5, 36, 60, 33, 1]
    logprobs, gradients = trained(model, lengths)
    if change == "recomputed":
        monkeypatch.setattr(micro_batches, "ACTIVATIONS", 1)
    elif change == "small batches":
        monkeypatch.setattr(micro_batches, "MOST_TOKENS", 70)
    elif change == "query blocks":
        monkeypatch.setattr(attention, "QUERY_BLOCK", 16)
        monkeypatch.setattr("tinker_local.engine.decoder.QUERY_BLOCK", 16)
    elif change == "few rows":
        monkeypatch.setattr(cross_entropy, "SCORES_MEMORY", 1)
    else:
        model = model.joined(torch.float32)
    cut_logprobs, cut_gradients = trained(model, lengths)
    for whole, cut in zip(logprobs, cut_logprobs, strict=True):
        np.testing.assert_allclose(cut, whole, atol=1e-5)
    torch.testing.assert_close(cut_gradients, gradients, atol=1e-4, rtol=1e-4)


def test_sequences_do_not_see_each_other(tiny_model: Path):
    """What a datum gives is the same alone and in any company."""
    model = load_base_model(str(tiny_model), "float32", CPU).model
    together, _ = trained(model, [12, 40, 39, 12])
    for seed, length in enumerate([12, 40, 39, 12]):
        training = TrainingModel(model, trained_adapter(model))
        (alone,), _ = training.forward_backward([datum(length, seed)], "cross_entropy", forward_only=True)
        np.testing.assert_allclose(alone.fields["logprobs"], together[seed], atol=1e-5)


def trained_adapter(model: Llama) -> Adapter:
    adapter = Adapter.initial(model.config, LoraConfig(4), 0, CPU)
    adapter.flat.normal_(std=0.1, generator=torch.Generator().manual_seed(3))
    return adapter


@given(
    lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=60),
    bytes_per_token=st.integers(1, 2**22),
)
def test_micro_batches_hold_every_datum_once(lengths: list[int], bytes_per_token: int):
    """Every datum is in exactly one; one that fits is within the memory, and one that does not is alone."""
    batches = micro_batches.micro_batches(lengths, bytes_per_token)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(len(lengths)))
    for batch in batches:
        tokens = sum(lengths[index] for index in batch.indices)
        within = tokens * bytes_per_token <= micro_batches.ACTIVATIONS and tokens <= micro_batches.MOST_TOKENS
        assert batch.fits == within
        assert batch.fits or len(batch.indices) == 1


LONG_DATUM = """
import json, resource, sys
import numpy as np, torch
from tinker_local.engine.lora import Adapter, LoraConfig
from tinker_local.engine.training import TrainingModel
from tinker_local.loading import load_base_model
from tinker_local.wire.datums import Datum

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

base = load_base_model(sys.argv[1], "float32", torch.device("cpu"))
adapter = Adapter.initial(base.model.config, LoraConfig(4), 0, torch.device("cpu"))
training = TrainingModel(base.model, adapter)
def train(length):
    tokens = np.arange(length + 1) % 258
    inputs = {"target_tokens": tokens[1:], "weights": np.ones(length, dtype=np.float32)}
    training.forward_backward([Datum(tokens[:-1], inputs)], "cross_entropy", False)
train(64)
before = peak()
train(4096)
print(json.dumps(peak() - before))
"""


def test_a_long_datum_stays_within_its_memory(tmp_path: Path):
    """4,096 tokens over 49,152 entries, whose scores would be 768 MiB at once, take less than 300 MiB."""
    write_tiny_model(tmp_path, "LlamaForCausalLM", vocab_size=49152, max_position_embeddings=4096)
    told = subprocess.run(
        [sys.executable, "-c", LONG_DATUM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) < 300 * 2**20
