"""Copies of small models for sampling compute what the model and its adapter do."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from sampling_requests import generate
from tinker_local.domain.generation import GenerationRequest
from tinker_local.engine.model.llama import plain_projection
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.model.merging import MergedModels
from tinker_local.loading import BaseModel, load_base_model
from tiny_models import ARCHITECTURES, write_tiny_model

CPU = torch.device("cpu")


def load(folder: Path, dtype: str = "float32") -> BaseModel:
    return load_base_model(str(folder), dtype, CPU)


def adapter_of(base: BaseModel, seed: int = 0, **flags: bool) -> Adapter:
    """An adapter with numbers in all of its matrices."""
    adapter = Adapter.initial(base.model.config, LoraConfig(4, **flags), seed, CPU)
    for _, b in adapter.matrices.values():
        b.normal_(0, 0.05, generator=torch.Generator().manual_seed(seed))
    return adapter


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("train_unembed", [True, False])
def test_merged_and_unmerged_sampling_agree(architecture: str, train_unembed: bool, tmp_path: Path):
    """Tokens are the same, greedy and drawn, and log-probabilities equal to float32's accuracy."""
    write_tiny_model(tmp_path, architecture)
    base = load(tmp_path)
    adapter = adapter_of(base, train_unembed=train_unembed)
    merged = MergedModels().get(base.model, adapter)
    assert merged is not None
    requests = [
        GenerationRequest((*range(40, 52),), 2, 12, temperature, -1, 1.0, 3, frozenset(), (), True)
        for temperature in (0.0, 1.0)
    ]
    expected = generate(base.model, adapter.project, base.tokenizer, requests)
    actual = generate(merged, plain_projection, base.tokenizer, requests)
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(one.prompt.logprobs, other.prompt.logprobs, atol=1e-4)
        for left, right in zip(one.sequences, other.sequences, strict=True):
            assert left.tokens == right.tokens
            np.testing.assert_allclose(left.logprobs, right.logprobs, atol=1e-4)


def test_merging_leaves_the_base_as_it_was(tiny_model: Path):
    """The weights that other samplers and runs use are neither changed nor renamed."""
    base = load(tiny_model)
    before = {name: weight.clone() for name, weight in base.model.weights.items()}
    MergedModels().get(base.model, adapter_of(base))
    assert base.model.weights.keys() == before.keys()
    assert all(torch.equal(base.model.weights[name], weight) for name, weight in before.items())


def test_a_copy_is_kept_while_there_is_room(tiny_model: Path):
    """The same copy serves an adapter again; without room for two, the one used longest ago is dropped."""
    base = load(tiny_model)
    first, second = adapter_of(base, 1), adapter_of(base, 2)
    roomy = MergedModels()
    copies = [roomy.get(base.model, adapter) for adapter in (first, second, first)]
    assert copies[0] is copies[2]
    tight = MergedModels(memory=1)
    copies = [tight.get(base.model, adapter) for adapter in (first, second, first)]
    assert copies[0] is not copies[2]


def test_a_copy_goes_with_its_adapter(tiny_model: Path):
    """A sampler that is gone leaves no weights behind."""
    base = load(tiny_model)
    merged, adapter = MergedModels(), adapter_of(base)
    merged.get(base.model, adapter)
    assert merged.num_copies == 1
    del adapter
    gc.collect()
    assert merged.num_copies == 0


def test_coarse_weights_are_used_as_they_are(tiny_model: Path):
    """In bfloat16 a merged adapter would lose its small numbers, so nothing is merged."""
    base = load(tiny_model, "bfloat16")
    assert MergedModels().get(base.model, adapter_of(base)) is None
