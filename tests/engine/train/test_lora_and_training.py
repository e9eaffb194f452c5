"""Adapters, losses, gradients and Adam against peft and torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig as PeftConfig
from peft import get_peft_model

from tinker_local.domain.datum import Datum
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig, num_parameters
from tinker_local.engine.model.merging import merge
from tinker_local.engine.train import trainer as training_module
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.errors import RequestError
from tinker_local.loading import choose_training_dtype, load_base_model
from tiny_models import LLAMA3_ROPE, write_tiny_llama, write_tiny_model

CPU = torch.device("cpu")
PEFT_MODULES = {
    "train_attn": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "train_mlp": ["gate_proj", "up_proj", "down_proj"],
    "train_unembed": ["lm_head"],
}
ADAM = AdamSettings(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, grad_clip_norm=0.0)


def random_datum(length: int, seed: int, prompt: int = 3) -> Datum:
    generator = np.random.default_rng(seed)
    tokens = generator.integers(0, 258, length + 1)
    weights = (np.arange(length) >= prompt).astype(np.float32)
    return Datum(tokens[:-1], {"target_tokens": tokens[1:], "weights": weights})


def random_adapter(base, config: LoraConfig, seed: int = 3) -> Adapter:
    """An adapter whose B is not zero, so that every gradient is at work."""
    adapter = Adapter.initial(base.config, config, seed, CPU)
    generator = torch.Generator().manual_seed(seed)
    adapter.flat.normal_(std=0.1, generator=generator)
    return adapter


@pytest.mark.parametrize(
    ("flags", "tied", "architecture"),
    [
        ({"train_attn": True, "train_mlp": True, "train_unembed": True}, False, "LlamaForCausalLM"),
        ({"train_attn": True, "train_mlp": False, "train_unembed": False}, True, "LlamaForCausalLM"),
        ({"train_attn": False, "train_mlp": True, "train_unembed": False}, False, "LlamaForCausalLM"),
        ({"train_attn": False, "train_mlp": False, "train_unembed": True}, False, "LlamaForCausalLM"),
        ({"train_attn": True, "train_mlp": True, "train_unembed": False}, True, "Qwen2ForCausalLM"),
        ({"train_attn": True, "train_mlp": True, "train_unembed": True}, False, "Qwen3ForCausalLM"),
    ],
)
def test_loss_and_gradients_equal_peft(flags: dict[str, bool], tied: bool, architecture: str, tmp_path: Path):
    """The summed loss and the gradient of every LoRA matrix equal peft's within 1e-4."""
    reference = write_tiny_model(
        tmp_path, architecture, tie_word_embeddings=tied, rope_parameters=LLAMA3_ROPE
    )
    base = load_base_model(str(tmp_path), "float32", CPU).model
    config = LoraConfig(rank=4, **flags)
    adapter = random_adapter(base, config)
    modules = [module for flag, names in PEFT_MODULES.items() if flags[flag] for module in names]
    peft = get_peft_model(
        reference, PeftConfig(r=4, lora_alpha=32, target_modules=modules, task_type="CAUSAL_LM")
    )
    parameters = {name.replace(".default", ""): p for name, p in peft.named_parameters() if "lora_" in name}
    with torch.no_grad():
        for layer, (a, b) in adapter.matrices.items():
            parameters[f"base_model.model.{layer}.lora_A.weight"].copy_(a)
            parameters[f"base_model.model.{layer}.lora_B.weight"].copy_(b)
    assert len(parameters) == 2 * len(adapter.matrices)

    datums = [random_datum(20, 1), random_datum(33, 2), random_datum(7, 3)]
    training = TrainingModel(base, adapter)
    outputs, metrics = training.forward_backward(datums, "cross_entropy", forward_only=False)

    total = torch.zeros(())
    for datum, output in zip(datums, outputs, strict=True):
        logits = peft(torch.from_numpy(datum.tokens)[None]).logits[0]
        logprobs = torch.log_softmax(logits, -1)
        targets = torch.from_numpy(datum.loss_inputs["target_tokens"])
        expected = logprobs.gather(1, targets[:, None])[:, 0]
        np.testing.assert_allclose(output.fields["logprobs"], expected.detach().numpy(), atol=1e-4)
        total = total - (expected * torch.from_numpy(datum.loss_inputs["weights"])).sum()
    total.backward()
    assert metrics["loss:sum"] == pytest.approx(float(total.detach()), abs=1e-3)
    gradients = Adapter(base.config, config, training._gradients)
    for layer, pair in gradients.matrices.items():
        for name, actual in zip(("lora_A", "lora_B"), pair, strict=True):
            expected = parameters[f"base_model.model.{layer}.{name}.weight"].grad
            torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rank", [1, 8, 32])
def test_number_of_parameters_is_the_formula(tiny_model: Path, rank: int):
    """Rank * (in + out) over four attention and three MLP layers a block, and the unembedding."""
    config = load_base_model(str(tiny_model), "float32", CPU).model.config
    hidden, inner, keys, vocabulary, layers = 32, 48, 16, 258, 2
    attention = 2 * (hidden + hidden) + 2 * (hidden + keys)
    feed_forward = 3 * (hidden + inner)
    expected = rank * (layers * (attention + feed_forward) + hidden + vocabulary)
    assert num_parameters(config, LoraConfig(rank)) == expected
    assert num_parameters(config, LoraConfig(rank, train_mlp=False, train_unembed=False)) == (
        rank * layers * attention
    )


def test_new_adapter_changes_nothing(tiny_model: Path):
    """With B at zero the adapted model is exactly the base model."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    adapter = Adapter.initial(base.config, LoraConfig(8), seed=0, device=CPU)
    tokens = torch.arange(40)[None]
    expected = base.logits(base.hidden(tokens))
    assert torch.equal(base.logits(base.hidden(tokens, adapter.project), adapter.project), expected)


@pytest.mark.parametrize("tied", [True, False])
def test_merged_weights_equal_the_adapter(tmp_path: Path, tied: bool):
    """Merging gives a model that computes the same, and leaves the old weights alone."""
    write_tiny_llama(tmp_path, tie_word_embeddings=tied)
    base = load_base_model(str(tmp_path), "float32", CPU).model
    before = {name: weight.clone() for name, weight in base.weights.items()}
    adapter = random_adapter(base, LoraConfig(4))
    merged = merge(base, adapter)
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        expected = base.logits(base.hidden(tokens, adapter.project), adapter.project)
        torch.testing.assert_close(merged.logits(merged.hidden(tokens)), expected, atol=1e-4, rtol=0)
    for name, weight in base.weights.items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize(("weight_decay", "grad_clip_norm"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.5), (0.1, 0.5)])
def test_adam_equals_torch(tiny_model: Path, weight_decay: float, grad_clip_norm: float):
    """Ten steps equal torch's Adam (AdamW with decay) and its gradient clipping, matrix by matrix."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    adapter = random_adapter(base, LoraConfig(4))
    references = [torch.nn.Parameter(m.clone()) for pair in adapter.matrices.values() for m in pair]
    kind = torch.optim.AdamW if weight_decay else torch.optim.Adam
    reference = kind(references, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=weight_decay)
    training = TrainingModel(base, adapter)
    settings = AdamSettings(1e-2, 0.9, 0.95, 1e-8, weight_decay, grad_clip_norm)
    for step in range(10):
        training.forward_backward([random_datum(15, step)], "cross_entropy", forward_only=False)
        gradients = Adapter(base.config, adapter.config, training._gradients.clone())
        for parameter, gradient in zip(
            references, (m for pair in gradients.matrices.values() for m in pair), strict=True
        ):
            parameter.grad = gradient.clone()
        if grad_clip_norm:
            torch.nn.utils.clip_grad_norm_(references, grad_clip_norm)
        reference.step()
        training.optim_step(settings)
    for parameter, matrix in zip(
        references, (m for pair in training.adapter.matrices.values() for m in pair), strict=True
    ):
        torch.testing.assert_close(matrix, parameter.detach(), atol=1e-6, rtol=1e-5)


def test_gradients_accumulate_until_the_step(tiny_model: Path):
    """Two requests and one step equal one request with both datums and one step."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    one, two = (TrainingModel(base, random_adapter(base, LoraConfig(4))) for _ in range(2))
    datums = [random_datum(12, 1), random_datum(19, 2)]
    one.forward_backward(datums, "cross_entropy", forward_only=False)
    for datum in datums:
        two.forward_backward([datum], "cross_entropy", forward_only=False)
    torch.testing.assert_close(one._gradients, two._gradients, atol=1e-4, rtol=1e-4)
    one.optim_step(ADAM)
    assert not one._gradients.any()


def test_forward_only_leaves_gradients_alone(tiny_model: Path):
    """The forward pass gives the same log-probabilities and no gradient."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    training = TrainingModel(base, random_adapter(base, LoraConfig(4)))
    only, _ = training.forward_backward([random_datum(12, 1)], "cross_entropy", forward_only=True)
    assert not training._gradients.any()
    both, _ = training.forward_backward([random_datum(12, 1)], "cross_entropy", forward_only=False)
    np.testing.assert_array_equal(only[0].fields["logprobs"], both[0].fields["logprobs"])


def test_negative_weights_and_targets_in_columns(tiny_model: Path):
    """Weights may be negative, and a target may be several tokens wide, as custom losses send them."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    training = TrainingModel(base, random_adapter(base, LoraConfig(4)))
    tokens = np.arange(10)
    targets = np.stack([np.arange(10) + 1, np.arange(10) + 50], axis=1)
    weights = np.linspace(-1, 1, 20, dtype=np.float32).reshape(10, 2)
    outputs, metrics = training.forward_backward(
        [Datum(tokens, {"target_tokens": targets, "weights": weights})], "cross_entropy", forward_only=False
    )
    logits = base.logits(
        base.hidden(torch.from_numpy(tokens)[None], training.adapter.project), training.adapter.project
    )
    logprobs = torch.log_softmax(logits[0].detach(), -1).gather(1, torch.from_numpy(targets))
    np.testing.assert_allclose(outputs[0].fields["logprobs"], logprobs.numpy(), atol=1e-4)
    assert metrics["loss:sum"] == pytest.approx(
        float(-(logprobs * torch.from_numpy(weights)).sum()), abs=1e-3
    )


def test_gradients_that_are_not_finite_are_refused(tiny_model: Path):
    """A step on infinite gradients is refused and leaves adapter and later steps unharmed."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    training = TrainingModel(base, random_adapter(base, LoraConfig(4)))
    before = training.adapter.flat.clone()
    training._gradients.fill_(float("inf"))
    with pytest.raises(RequestError, match="not finite"):
        training.optim_step(ADAM)
    assert torch.equal(training.adapter.flat, before)
    training.forward_backward([random_datum(9, 1)], "cross_entropy", forward_only=False)
    assert np.isfinite(training.optim_step(ADAM)["grad_norm:mean"])


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_failure_on_the_way_leaves_no_gradients(
    tiny_model: Path, earlier: int, monkeypatch: pytest.MonkeyPatch
):
    """Where a later part of a request fails, its earlier parts add nothing; earlier requests still count."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    batch = [random_datum(100, seed) for seed in range(60)]
    failing = TrainingModel(base, random_adapter(base, LoraConfig(4)))
    plain = TrainingModel(base, random_adapter(base, LoraConfig(4)))
    for _ in range(earlier):
        for model in (failing, plain):
            model.forward_backward([random_datum(12, 99)], "cross_entropy", forward_only=False)
    computed: list[int] = []

    def fails_on_the_way(*given: Any) -> Any:
        computed.append(1)
        if len(computed) == 2:
            raise MemoryError
        return compute(*given)

    compute = training_module._compute
    monkeypatch.setattr(training_module, "_compute", fails_on_the_way)
    with pytest.raises(MemoryError):
        failing.forward_backward(batch, "cross_entropy", forward_only=False)
    assert failing.optim_step(ADAM) == plain.optim_step(ADAM)
    assert torch.equal(failing.adapter.flat, plain.adapter.flat)


def test_gradients_that_are_not_finite_take_no_step(tiny_model: Path):
    """A step on overflowed gradients is refused and clears them; adapter and later steps are unharmed."""
    base = load_base_model(str(tiny_model), "float32", CPU).model
    training = TrainingModel(base, random_adapter(base, LoraConfig(4)))
    before = training.adapter.flat.clone()
    datum = random_datum(20, 1)
    huge = {**datum.loss_inputs, "weights": np.full(20, 3e38, dtype=np.float32)}
    training.forward_backward([Datum(datum.tokens, huge)], "cross_entropy", forward_only=False)
    with pytest.raises(RequestError, match="not finite"):
        training.optim_step(ADAM)
    assert torch.equal(training.adapter.flat, before)
    training.forward_backward([datum], "cross_entropy", forward_only=False)
    assert training.optim_step(ADAM)["grad_norm:mean"] > 0
    assert training.adapter.flat.isfinite().all()


@pytest.mark.parametrize("rank", [4, 32])
def test_rounding_costs_little_beside_a_rounded_base(tmp_path: Path, rank: int):
    """In bfloat16 the gradients stray from float32's hardly further than autograd's with an exact adapter."""
    write_tiny_llama(tmp_path, initializer_range=0.05)
    base = load_base_model(str(tmp_path), "float32", CPU).model
    datums = [random_datum(40, seed) for seed in range(4)]
    adapter = random_adapter(base, LoraConfig(rank))

    def gradients(model: Llama) -> torch.Tensor:
        training = TrainingModel(base, adapter, trained_on=lambda: model)
        training.forward_backward(datums, "cross_entropy", forward_only=False)
        assert training._gradients.dtype == training.adapter.flat.dtype == torch.float32
        return training._gradients.clone()

    coarse = Llama(base.config, {name: weight.bfloat16() for name, weight in base.weights.items()})
    flat = adapter.flat.clone().requires_grad_()
    project = Adapter(base.config, adapter.config, flat).project
    for datum in datums:
        logits = coarse.logits(coarse.hidden(torch.from_numpy(datum.tokens)[None], project), project)[0]
        targets = torch.from_numpy(datum.loss_inputs["target_tokens"])
        logprobs = torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]
        (-logprobs * torch.from_numpy(datum.loss_inputs["weights"])).sum().backward()
    exact, rounded = gradients(base), gradients(Llama(base.config, dict(base.joined_weights(torch.bfloat16))))
    assert flat.grad is not None
    error, least = (rounded - exact).norm(), (flat.grad - exact).norm()
    assert 0 < error < 2 * least


def test_only_large_models_are_trained_in_bfloat16(monkeypatch: pytest.MonkeyPatch):
    """From 100 million parameters on where the processor is fast at it; a type that is told stands."""
    monkeypatch.setattr("tinker_local.loading.base_model.cpu_flags", lambda: frozenset({"avx512_bf16"}))
    full, half = torch.float32, torch.bfloat16
    assert choose_training_dtype("auto", full, 135_000_000, CPU) == half
    assert choose_training_dtype("auto", full, 6_500_000, CPU) == full
    assert choose_training_dtype("float32", full, 135_000_000, CPU) == full
    monkeypatch.setattr("tinker_local.loading.base_model.cpu_flags", frozenset)
    assert choose_training_dtype("auto", full, 135_000_000, CPU) == full


def test_a_server_trains_in_the_coarser_type_and_samples_in_the_finer(tiny_model: Path):
    """The copy for training is made once, when it is first asked for, and the model stays as it was."""
    base = replace(load_base_model(str(tiny_model), "float32", CPU), training_dtype=torch.bfloat16)
    assert base.training_model().dtype == torch.bfloat16
    assert base.training_model() is base.training_model()
    assert base.model.dtype == torch.float32
