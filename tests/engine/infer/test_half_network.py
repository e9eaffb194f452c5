"""Sampling in bfloat16 from the copy that is laid out for the kernels in C, beside torch's own operations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sampling_requests import Submitted, assert_same_in_any_company, random_prompt, request
from tinker_local.domain.generation import GenerationResult
from tinker_local.engine.infer.networks.network import TorchNetwork
from tinker_local.engine.infer.networks.networks import Networks
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.kernels.native.library import library
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.loading import BaseModel, load_base_model
from tiny_models import write_tiny_model

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(library() is None, reason="no kernels in C on this machine")


def loaded(folder: Path, architecture: str, dtype: str = "bfloat16", **changes: object) -> BaseModel:
    write_tiny_model(folder, architecture, hidden_size=64, initializer_range=0.06, **changes)
    return load_base_model(str(folder), dtype, CPU)


def adapter_of(base: BaseModel, **flags: bool) -> Adapter:
    adapter = Adapter.initial(base.model.config, LoraConfig(8, **flags), 0, CPU)
    for _, b in adapter.matrices.values():
        b.normal_(0, 0.05, generator=torch.Generator().manual_seed(1))
    return adapter


def scored(base: BaseModel, network: TorchNetwork) -> GenerationResult:
    weights = SamplingWeights(base.model, base.tokenizer, lambda: network)
    asked = request(random_prompt(base, 45), prompt_logprobs=True, max_tokens=1)
    return Submitted(Scheduler(), weights, asked).result()


@pytest.mark.parametrize(
    "architecture", ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"]
)
@pytest.mark.parametrize("vocab_size", [258, 272])
@pytest.mark.parametrize("flags", [{}, {"train_unembed": False}, {"train_attn": False}])
def test_the_copy_scores_as_near_to_float32_as_torch_does(
    architecture: str, vocab_size: int, flags: dict[str, bool], tmp_path: Path
):
    """With adapters on joined layers, biases, norms of heads, and a head that cannot be laid out."""
    base = loaded(tmp_path, architecture, vocab_size=vocab_size)
    adapter = adapter_of(base, **flags)
    copy = base.sampling_model()
    assert copy.laid_out
    assert ("lm_head.weight" in copy.laid_out) == (vocab_size % 16 == 0)
    exact_base = load_base_model(str(tmp_path), "float32", CPU)
    exact = scored(exact_base, TorchNetwork(exact_base.model, adapter.project)).prompt.logprobs
    network = Networks().get(copy, adapter)
    assert isinstance(network, TorchNetwork)
    found, by_torch = (
        np.array(scored(base, one).prompt.logprobs[1:]) - exact[1:]
        for one in (network, TorchNetwork(base.model, adapter.project))
    )
    assert np.abs(found).max() < 0.1
    assert np.square(found).mean() <= 1.5 * np.square(by_torch).mean()


@pytest.mark.parametrize("adapted", [False, True])
def test_a_text_is_the_same_in_any_company(adapted: bool, tmp_path: Path):
    """Alone and among so many others that other tiles multiply its rows, to the last bit."""
    base = loaded(tmp_path, "LlamaForCausalLM", vocab_size=272)
    network = Networks().get(base.sampling_model(), adapter_of(base) if adapted else None)
    assert_same_in_any_company(base, network)


def test_training_and_sampling_share_the_copy(tmp_path: Path):
    """One copy for both where both compute in bfloat16, and none where sampling is finer."""
    base = loaded(tmp_path, "LlamaForCausalLM")
    assert base.sampling_model() is base.training_model()
    fine = load_base_model(str(tmp_path), "float32", CPU)
    assert fine.sampling_model() is fine.model
