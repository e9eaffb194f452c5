"""What a GGUF file declares and is not computed exactly is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from transformers import PreTrainedModel

from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tiny_gguf import (
    ARCHITECTURES,
    gguf_fields,
    gguf_tensors,
    quantised,
    tiny_model,
    write_gguf,
    write_tiny_gguf,
)

F32 = GGMLQuantizationType.F32


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedModel]:
    """A reference model of each architecture."""
    folder = tmp_path_factory.mktemp("references")
    return {name: tiny_model(folder / name, name, tie_word_embeddings=False) for name in ARCHITECTURES}


@pytest.fixture
def llama(references: dict[str, PreTrainedModel]) -> PreTrainedModel:
    return references["LlamaForCausalLM"]


@pytest.fixture(autouse=True)
def models_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(home))
    return home


def refusal(file: Path) -> str:
    """The sentence in which a file is refused; nothing of it stays in the cache."""
    with pytest.raises(StartupError) as caught:
        load_base_model(str(file), "float32", torch.device("cpu"))
    told = str(caught.value)
    assert "\n" not in told
    assert told.endswith(".")
    home = file.parent / "home" / "converted"
    assert not home.exists() or [path.name for path in home.iterdir()] == [".lock"]
    return told


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"general.architecture": "gemma2"}, "is of the architecture 'gemma2', which is not supported"),
        ({"general.type": "adapter"}, "is a LoRA adapter and no model; give the base model"),
        ({"general.type": "mmproj"}, "is of the type 'mmproj' and no model"),
        ({"llama.block_count": None}, "has no llama.block_count; it may not be complete"),
        ({"llama.block_count": 0}, "sets llama.block_count to 0"),
        ({"llama.block_count": 2**31}, "has 2147483648 blocks in 21 tensors"),
        ({"llama.block_count": 3}, "has no tensor blk.2.attn_norm.weight"),
        ({"llama.block_count": 1}, "has a tensor 'blk.1.attn_"),
        ({"llama.context_length": None}, "has no llama.context_length"),
        ({"llama.context_length": 256.0}, "sets llama.context_length to 256.0"),
        ({"llama.context_length": True}, "sets llama.context_length to True"),
        ({"llama.embedding_length": None}, "has no llama.embedding_length"),
        ({"llama.embedding_length": 96}, "rotates 16 of the 24 dimensions of a head"),
        ({"llama.feed_forward_length": None}, "has no llama.feed_forward_length"),
        ({"llama.feed_forward_length": 100}, "blk.0.ffn_gate.weight"),
        ({"llama.feed_forward_length": [96, 64]}, "sets llama.feed_forward_length for each block by itself"),
        ({"llama.attention.head_count": None}, "has no llama.attention.head_count"),
        ({"llama.attention.head_count": [4, 2]}, "sets llama.attention.head_count for each block by itself"),
        ({"llama.attention.head_count_kv": [2, 0]}, "sets llama.attention.head_count_kv for each block"),
        ({"llama.attention.head_count_kv": 3}, "has 4 attention heads, which 3 heads of keys do not divide"),
        ({"llama.attention.head_count": 128}, "has no llama.attention.key_length"),
        ({"llama.attention.key_length": 15, "llama.attention.value_length": 15}, "rotates 16 of the 15"),
        (
            {
                "llama.attention.key_length": 15,
                "llama.attention.value_length": 15,
                "llama.rope.dimension_count": 15,
            },
            "has heads of 15 dimensions, an odd number",
        ),
        ({"llama.attention.value_length": 8}, "has keys of 16 dimensions and values of 8"),
        ({"llama.rope.dimension_count": 8}, "rotates 8 of the 16 dimensions of a head"),
        ({"llama.attention.layer_norm_rms_epsilon": None}, "has no llama.attention.layer_norm_rms_epsilon"),
        ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, "layer_norm_rms_epsilon to nan"),
        ({"llama.rope.freq_base": -1.0}, "sets llama.rope.freq_base to -1.0"),
        ({"llama.rope.freq_base": float("inf")}, "sets llama.rope.freq_base to inf"),
        ({"llama.rope.freq_base": [1.0, 2.0]}, "sets llama.rope.freq_base to a list"),
        ({"llama.rope.scaling.type": "yarn"}, "sets 'llama.rope.scaling.type' to 'yarn'"),
        ({"llama.rope.scaling.type": "linear"}, "sets 'llama.rope.scaling.type' to 'linear'"),
        ({"llama.rope.scaling.type": "longrope"}, "sets 'llama.rope.scaling.type' to 'longrope'"),
        ({"llama.rope.scaling.factor": 2.0}, "sets 'llama.rope.scaling.factor' to 2.0"),
        ({"llama.rope.scale_linear": 2.0}, "sets 'llama.rope.scale_linear' to 2.0"),
        ({"llama.rope.scaling.attn_factor": 1.0}, "sets 'llama.rope.scaling.attn_factor' to 1.0"),
        ({"llama.rope.scaling.original_context_length": 64}, "rope.scaling.original_context_length' to 64"),
        ({"llama.rope.dimension_sections": [8, 8]}, "sets 'llama.rope.dimension_sections' to a list"),
        ({"llama.expert_count": 8}, "sets 'llama.expert_count' to 8"),
        ({"llama.expert_used_count": 2}, "sets 'llama.expert_used_count' to 2"),
        ({"llama.attention.sliding_window": 255}, "attends over a sliding window of 255 tokens"),
        ({"llama.attention.sliding_window": 0}, "sets llama.attention.sliding_window to 0"),
        ({"llama.attention.causal": False}, "sets 'llama.attention.causal' to False"),
        ({"llama.attention.clamp_kqv": 8.0}, "sets 'llama.attention.clamp_kqv' to 8.0"),
        ({"llama.attention.max_alibi_bias": 8.0}, "sets 'llama.attention.max_alibi_bias' to 8.0"),
        ({"llama.attention.scale": 0.5}, "sets 'llama.attention.scale' to 0.5"),
        ({"llama.logit_scale": 0.5}, "sets 'llama.logit_scale' to 0.5"),
        ({"llama.residual_scale": 0.5}, "sets 'llama.residual_scale' to 0.5"),
        ({"llama.embedding_scale": 12.0}, "sets 'llama.embedding_scale' to 12.0"),
        ({"llama.attn_logit_softcapping": 50.0}, "sets 'llama.attn_logit_softcapping' to 50.0"),
        ({"llama.final_logit_softcapping": 30.0}, "sets 'llama.final_logit_softcapping' to 30.0"),
        ({"llama.pooling_type": 3}, "sets 'llama.pooling_type' to 3"),
        ({"llama.use_parallel_residual": True}, "sets 'llama.use_parallel_residual' to True"),
        ({"llama.tensor_data_layout": "other"}, "sets 'llama.tensor_data_layout' to 'other'"),
        ({"llama.not.known": "x"}, "sets 'llama.not.known' to 'x', which is not supported"),
        ({"llama.vocab_size": 287}, "has a vocabulary of 287, 288 embeddings and 288 tokens"),
        ({"tokenizer.ggml.tokens": ["a"]}, "has a vocabulary of 288, 288 embeddings and 1 tokens"),
        ({"tokenizer.ggml.tokens": None}, "has a vocabulary of 288, 288 embeddings and 0 tokens"),
        ({"tokenizer.ggml.eos_token_id": 288}, "sets tokenizer.ggml.eos_token_id to 288, and has 288 tokens"),
        ({"tokenizer.ggml.eot_token_id": -1}, "sets tokenizer.ggml.eot_token_id to -1, and has 288 tokens"),
        ({"tokenizer.ggml.eom_token_id": "x"}, "sets tokenizer.ggml.eom_token_id to 'x', and has 288 tokens"),
    ],
    ids=str,
)  # fmt: skip
def test_keys_are_refused(fields: dict[str, Any], sentence: str, llama: PreTrainedModel, tmp_path: Path):
    """A key that is missing, wrong, or means another computation is named with its value."""
    write_tiny_gguf(tmp_path / "tiny.gguf", llama, fields=fields)
    told = refusal(tmp_path / "tiny.gguf")
    assert sentence in told
    if "general.architecture" in fields:
        assert told.endswith("llama, qwen2, qwen3.")


@pytest.mark.parametrize(
    ("architecture", "tensors", "sentence"),
    [
        ("LlamaForCausalLM", {"token_embd.weight": None}, "has no tensor token_embd.weight"),
        ("LlamaForCausalLM", {"output_norm.weight": None}, "has no tensor output_norm.weight"),
        ("LlamaForCausalLM", {"blk.1.ffn_up.weight": None}, "has no tensor blk.1.ffn_up.weight"),
        ("LlamaForCausalLM", {"blk.0.attn_q.bias": (64,)}, "has a tensor 'blk.0.attn_q.bias'"),
        ("LlamaForCausalLM", {"blk.0.attn_q_norm.weight": (16,)}, "has a tensor 'blk.0.attn_q_norm.weight'"),
        ("LlamaForCausalLM", {"blk.0.ffn_gate_exps.weight": (2, 96, 64)}, "'blk.0.ffn_gate_exps.weight'"),
        ("LlamaForCausalLM", {"blk.0.attn_q.scale": (1,)}, "has a tensor 'blk.0.attn_q.scale'"),
        ("LlamaForCausalLM", {"v.patch_embd.weight": (1,)}, "has a tensor 'v.patch_embd.weight'"),
        ("LlamaForCausalLM", {"rope_factors_long.weight": (8,)}, "has a tensor 'rope_factors_long.weight'"),
        ("LlamaForCausalLM", {"rope_freqs.weight": (9,)}, "F32 of shape (9,) where F32 of shape (8,)"),
        ("LlamaForCausalLM", {"blk.0.attn_q.weight": (64, 32)}, "shape (64, 32) where (64, 64) is meant"),
        ("LlamaForCausalLM", {"output.weight": (287, 64)}, "shape (287, 64) where (288, 64) is meant"),
        ("Qwen2ForCausalLM", {"blk.0.attn_k.bias": None}, "has no tensor blk.0.attn_k.bias"),
        ("Qwen2ForCausalLM", {"rope_freqs.weight": (8,)}, "has a tensor 'rope_freqs.weight'"),
        ("Qwen2ForCausalLM", {"output.bias": (288,)}, "has a tensor 'output.bias'"),
        ("Qwen3ForCausalLM", {"blk.0.attn_q_norm.weight": None}, "has no tensor blk.0.attn_q_norm.weight"),
        ("Qwen3ForCausalLM", {"blk.0.attn_q.bias": (64,)}, "has a tensor 'blk.0.attn_q.bias'"),
        ("Qwen3ForCausalLM", {"cls.output.weight": (2, 64)}, "has a tensor 'cls.output.weight'"),
    ],
    ids=str,
)  # fmt: skip
def test_tensors_are_refused(
    architecture: str,
    tensors: dict[str, tuple[int, ...] | None],
    sentence: str,
    references: dict[str, PreTrainedModel],
    tmp_path: Path,
):
    """A tensor that is missing, of another shape, or has no place in the architecture is named."""
    given = {name: None if shape is None else np.ones(shape, np.float32) for name, shape in tensors.items()}
    write_tiny_gguf(tmp_path / "tiny.gguf", references[architecture], tensors=given)
    assert sentence in refusal(tmp_path / "tiny.gguf")


@pytest.mark.parametrize("number", [0.0, -1.0, np.nan, np.inf])
def test_divisors_that_are_not_positive(number: float, llama: PreTrainedModel, tmp_path: Path):
    """Frequencies are not divided by what is no divisor."""
    divisors = np.array([1, 1, 1, number, 1, 1, 1, 1], np.float32)
    write_tiny_gguf(tmp_path / "tiny.gguf", llama, tensors={"rope_freqs.weight": divisors})
    assert "rope_freqs.weight in" in refusal(tmp_path / "tiny.gguf")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["token_embd.weight", "blk.1.attn_k.weight", "output_norm.weight"])
def test_weights_that_are_not_finite(name: str, number: float, llama: PreTrainedModel, tmp_path: Path):
    """A single number that is none is told by its tensor, and nothing is left of the conversion."""
    broken = gguf_tensors(llama)[name]
    broken.reshape(-1)[-1] = number
    write_tiny_gguf(tmp_path / "tiny.gguf", llama, tensors={name: broken})
    assert f"{name} in {tmp_path / 'tiny.gguf'} holds numbers that are not finite" in refusal(
        tmp_path / "tiny.gguf"
    )


@pytest.mark.parametrize("kind", ["Q8_1", "Q8_K", "I8", "I32", "F64"])
def test_types_that_cannot_be_dequantised(kind: str, tmp_path: Path):
    """A tensor in a type that is no model's, or that the library cannot read, is named with its type."""
    model = tiny_model(
        tmp_path / "reference",
        "LlamaForCausalLM",
        hidden_size=256,
        intermediate_size=256,
        num_hidden_layers=1,
    )
    stored = quantised(gguf_tensors(model), F32)
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    stored["blk.0.ffn_up.weight"] = (
        np.zeros((256, 256 // block * size), np.uint8),
        GGMLQuantizationType[kind],
    )
    write_gguf(tmp_path / "tiny.gguf", "llama", gguf_fields(model), stored)
    assert f"stores blk.0.ffn_up.weight as {kind}, which cannot be dequantised" in refusal(
        tmp_path / "tiny.gguf"
    )


def test_the_architectures_that_are_written_here_are_all_there_are():
    """A refusal names what is supported, and each of these is tried by the tests of models."""
    from tinker_local.loading.gguf.config import ARCHITECTURES as SUPPORTED

    assert {name: kind for kind, name in SUPPORTED.items()} == ARCHITECTURES


def test_what_does_not_fit_memory_is_refused_before_it_is_converted(
    llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A model that could not be loaded is not written to the disk first."""
    write_tiny_gguf(tmp_path / "tiny.gguf", llama)

    class Nothing:
        available = 1000

    monkeypatch.setattr("psutil.virtual_memory", Nothing)
    assert "of memory are free" in refusal(tmp_path / "tiny.gguf")
    assert not (tmp_path / "home").exists()


def test_a_context_that_does_not_fit_memory(llama: PreTrainedModel, tmp_path: Path):
    """A damaged context length, for which no table of positions could be made, is refused."""
    write_tiny_gguf(tmp_path / "tiny.gguf", llama, fields={"llama.context_length": 2**31})
    with pytest.raises(StartupError, match="of memory are free"):
        load_base_model(str(tmp_path / "tiny.gguf"), "float32", torch.device("cpu"))
