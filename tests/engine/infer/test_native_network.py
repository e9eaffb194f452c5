"""Models computed by the kernels in C give what torch gives, and the same bits in any company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sampling_requests import Submitted, assert_same_in_any_company, random_prompt, request
from tinker_local.domain.generation import GenerationResult
from tinker_local.engine.infer.networks import native_network
from tinker_local.engine.infer.networks.native_network import NativeNetwork
from tinker_local.engine.infer.networks.network import Network, TorchNetwork
from tinker_local.engine.infer.networks.networks import Networks
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.kernels.native.library import library
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.loading import BaseModel, load_base_model
from tiny_models import write_tiny_model

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(library() is None, reason="no kernels in C on this machine")


@pytest.fixture(params=["adapter folded in", "adapter beside"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small models have their adapter folded in, others beside; here either."""
    if request.param == "adapter beside":
        monkeypatch.setattr(native_network, "SMALL_BYTES", 0)
    return request.param


def adapter_of(base: BaseModel, rank: int, **flags: bool) -> Adapter:
    adapter = Adapter.initial(base.model.config, LoraConfig(rank, **flags), 0, CPU)
    for _, b in adapter.matrices.values():
        b.normal_(0, 0.05, generator=torch.Generator().manual_seed(1))
    return adapter


def result(base: BaseModel, network: Network, **changes: object) -> GenerationResult:
    weights = SamplingWeights(base.model, base.tokenizer, lambda: network)
    asked = request(random_prompt(base, 45), prompt_logprobs=True, seed=3, **changes)
    return Submitted(Scheduler(), weights, asked).result()


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"])
@pytest.mark.parametrize("vocab_size", [258, 272])
@pytest.mark.parametrize("flags", [{}, {"train_unembed": False}, {"train_attn": False}])
@pytest.mark.parametrize("rank", [5, 32])
def test_kernels_compute_what_torch_does(
    architecture: str, vocab_size: int, flags: dict[str, bool], rank: int, way: str, tmp_path: Path
):
    """Prompts and greedy texts score as through torch's operations, whatever the adapter and the shape."""
    write_tiny_model(tmp_path, architecture, hidden_size=64, vocab_size=vocab_size)
    base = load_base_model(str(tmp_path), "float32", CPU)
    adapter = adapter_of(base, rank, **flags)
    network = Networks().get(base.model, adapter)
    assert isinstance(network, NativeNetwork)
    found = result(base, network)
    expected = result(base, TorchNetwork(base.model, adapter.project))
    np.testing.assert_allclose(found.prompt.logprobs, expected.prompt.logprobs, atol=1e-4)
    assert found.sequences[0].tokens == expected.sequences[0].tokens
    np.testing.assert_allclose(found.sequences[0].logprobs, expected.sequences[0].logprobs, atol=1e-4)


def test_a_text_is_the_same_in_any_company(way: str):
    """Alone, and beside so many others that its rows are multiplied by the other library, to the last bit."""
    base = load_base_model("symptoms-base", "float32", CPU)
    base = rounded_to_bfloat16(base)
    network = Networks().get(base.model, adapter_of(base, 8))
    assert_same_in_any_company(base, network)


def test_adapters_of_a_base_share_its_matrices(monkeypatch: pytest.MonkeyPatch):
    """A second adapter costs its own size, not that of another copy of the base."""
    monkeypatch.setattr(native_network, "SMALL_BYTES", 0)
    base = load_base_model("symptoms-base", "float32", CPU)
    networks = Networks()
    one, other = (networks.get(base.model, adapter_of(base, rank)) for rank in (4, 8))
    assert isinstance(one, NativeNetwork)
    assert isinstance(other, NativeNetwork)
    assert one.base is other.base


def rounded_to_bfloat16(base: BaseModel) -> BaseModel:
    weights = {name: weight.bfloat16().float() for name, weight in base.model.weights.items()}
    return BaseModel(**{**vars(base), "model": Llama(base.model.config, weights)})
