"""Weights are written a piece at a time, as safetensors that others read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType
from safetensors.torch import load_file, save_file

from tinker_local.loading.gguf.conversion import read_gguf, write_folder
from tinker_local.loading.safetensors_weights import write_weights
from tiny_gguf import tiny_model, write_tiny_gguf


def test_memory_holds_a_piece_of_a_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The library's copies of a tensor, four times as much as it, never lie in memory all at once."""
    monkeypatch.setattr("tinker_local.loading.gguf.tensors.NUMBERS_AT_ONCE", 2**14)
    model = tiny_model(tmp_path / "reference", "LlamaForCausalLM", vocab_size=16384, num_hidden_layers=1)
    write_tiny_gguf(tmp_path / "tiny.gguf", model, GGMLQuantizationType.Q8_0)
    read = read_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "out").mkdir()
    tracemalloc.start()
    write_folder(read, torch.float32, tmp_path / "out")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16384 * 64 * 4 / 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_safetensors_are_those_of_the_library(dtype: torch.dtype, tmp_path: Path):
    """A file that is written a few rows at a time reads as one that the library writes."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "b.weight": torch.randn(7, 3, generator=generator).to(dtype),
        "a.bias": torch.randn(5, generator=generator).to(dtype),
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    write_weights(tmp_path / "ours", shapes, dtype, lambda name: tensors[name].split(2))
    save_file(tensors, tmp_path / "theirs", {"format": "pt"})
    ours, theirs = load_file(tmp_path / "ours"), load_file(tmp_path / "theirs")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
