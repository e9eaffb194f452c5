"""The training pass gives the same losses and gradients however it is cut to bound its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinker_local.domain.datum import Datum
from tinker_local.engine.kernels import attention, cross_entropy
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train import micro_batches
from tinker_local.engine.train.decoder import Decoder, Keep, bytes_per_token
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model
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
        monkeypatch.setattr("tinker_local.engine.train.decoder.QUERY_BLOCK", 16)
    elif change == "few rows":
        monkeypatch.setattr(cross_entropy, "SCORES_MEMORY", 1)
    else:
        model = Llama(model.config, dict(model.joined_weights(torch.float32)))
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
        assert batch.fits == (tokens * bytes_per_token <= micro_batches.ACTIVATIONS)
        assert (batch.fits and tokens <= micro_batches.MOST_TOKENS) or len(batch.indices) == 1


def test_what_is_kept_is_within_the_memory(tmp_path: Path):
    """Of datums of many lengths, a long one among them, a micro-batch keeps no more than it is said to."""
    write_tiny_model(tmp_path, "Qwen3ForCausalLM", max_position_embeddings=512)
    model = load_base_model(str(tmp_path), "float32", CPU).model
    adapter = trained_adapter(model)
    for lengths in ([400, *[256] * 6, *[220] * 5], [40, 39, 38, 12]):
        decoder = Decoder(
            model, adapter, Adapter(model.config, adapter.config, torch.zeros_like(adapter.flat))
        )
        tokens = decoder.tokens([torch.zeros(length, dtype=torch.int64) for length in lengths])
        _, kept = decoder.forward(tokens, Keep.ALL)
        said = len(tokens.ids) * bytes_per_token(model.config, 4, adapter.config.rank, max(lengths))
        # Sequences of like length are padded to one for attention.
        assert kept_bytes(kept) <= said / (1 - attention.MOST_PADDING)
        assert kept_bytes(kept) > said / 2


def kept_bytes(kept: object) -> int:
    """Bytes of all tensors in nested lists and dataclasses, each memory once."""
    memories: dict[int, int] = {}

    def look(value: object) -> None:
        if isinstance(value, torch.Tensor):
            memories[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, list):
            for one in value:
                look(one)
        elif is_dataclass(value):
            for field in fields(value):
                look(getattr(value, field.name))

    look(kept)
    return sum(memories.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_next_gradients_are_of_the_changed_adapter(dtype: torch.dtype, tiny_model: Path):
    """After a step, and after another adapter is loaded, gradients are those of a model that starts there."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    model = Llama(base.config, {name: weight.to(dtype) for name, weight in base.weights.items()})
    settings = AdamSettings(1e-1, 0.9, 0.95, 1e-8, 0.0, 0.0)

    def gradients(training: TrainingModel) -> torch.Tensor:
        training.forward_backward([datum(20, 1)], "cross_entropy", forward_only=False)
        return training._gradients.clone()

    def fresh(adapter: Adapter) -> torch.Tensor:
        return gradients(TrainingModel(base, adapter.snapshot(), trained_on=lambda: model))

    training = TrainingModel(base, trained_adapter(base), trained_on=lambda: model)
    before = gradients(training)
    training.optim_step(settings)
    after = gradients(training)
    assert torch.equal(after, fresh(training.adapter))
    assert not torch.equal(after, before)
    training.load(trained_adapter(base))
    assert torch.equal(gradients(training), before)


def test_layers_apart_and_joined_agree_in_bfloat16(tiny_model: Path):
    """Large models train on the weights as they lie; the products are the same ones."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    apart = Llama(base.config, {name: weight.bfloat16() for name, weight in base.weights.items()})
    found: list[torch.Tensor] = []
    for model in (apart, Llama(base.config, dict(base.joined_weights(torch.bfloat16)))):
        training = TrainingModel(base, trained_adapter(base), trained_on=lambda model=model: model)
        training.forward_backward([datum(40, 1), datum(37, 2)], "cross_entropy", forward_only=False)
        found.append(training._gradients)
    assert (found[0] - found[1]).norm() < 0.02 * found[1].norm()


@pytest.mark.parametrize("flags", [{"train_mlp": False}, {"train_attn": False}, {}])
@pytest.mark.parametrize("lengths", [[20, 33, 31, 7], [256, 250], [257, 300, 3]])
def test_gradients_are_those_of_autograd(flags: dict[str, bool], lengths: list[int], tmp_path: Path):
    """Padded groups, whole blocks of queries and one more, several targets a token with weights of zero."""
    write_tiny_model(tmp_path, "LlamaForCausalLM", max_position_embeddings=512)
    base = load_base_model(str(tmp_path), "float32", CPU).model
    adapter = Adapter.initial(base.config, LoraConfig(4, **flags), 0, CPU)
    adapter.flat.normal_(std=0.1, generator=torch.Generator().manual_seed(3))
    flat = adapter.flat.clone().requires_grad_()
    project = Adapter(base.config, adapter.config, flat).project
    datums: list[Datum] = []
    for seed, length in enumerate(lengths):
        generator = np.random.default_rng(seed)
        targets = generator.integers(0, 258, (length, 2))
        # Of some tokens both targets count, of some one, of some none.
        weights = (generator.random((length, 2)) < 0.5).astype(np.float32)
        tokens = generator.integers(0, 258, length)
        datums.append(Datum(tokens, {"target_tokens": targets, "weights": weights}))
        logits = base.logits(base.hidden(torch.from_numpy(tokens)[None], project), project)[0]
        logprobs = torch.log_softmax(logits, -1).gather(1, torch.from_numpy(targets))
        (-logprobs * torch.from_numpy(weights)).sum().backward()
    training = TrainingModel(base, adapter)
    training.forward_backward(datums, "cross_entropy", forward_only=False)
    assert flat.grad is not None
    torch.testing.assert_close(training._gradients, flat.grad, atol=1e-3, rtol=1e-3)


def test_an_unembedding_alone_needs_no_blocks(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    """Where nothing below it has an adapter, nothing below it is computed backwards, or kept for it."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    config = LoraConfig(4, train_attn=False, train_mlp=False)
    monkeypatch.setattr(Decoder, "backward", None)
    training = TrainingModel(base, Adapter.initial(base.config, config, 0, CPU))
    training.forward_backward([datum(20, 1)], "cross_entropy", forward_only=False)
    assert training._gradients.any()


LONG_DATUM = """
import json, resource, sys
import numpy as np, torch
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model
from tinker_local.domain.datum import Datum

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
