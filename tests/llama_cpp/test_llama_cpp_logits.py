"""Log-probabilities of GGUF files against llama.cpp's own; run by `make test-llama-cpp`."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from real_models import SMOLLM2, needs_smollm2
from tinker_local.loading import load_base_model
from tinker_local.loading.gguf.file import open_gguf
from tiny_gguf import ARCHITECTURES, tiny_model, write_gguf, write_tiny_gguf

pytest.importorskip("xllamacpp", reason="make test-llama-cpp installs llama.cpp and runs these tests")
from reference import LlamaCpp

PROMPT = (
    "Symptoms: For three weeks I have hardly slept, I cannot sit still and my heart races at 4 at night.\n"
    "Assessment: Primary concern: "
)


def differences(file: Path, tokens: list[int], chosen: int, lengths: range) -> tuple[float, float]:
    """The largest differences to llama.cpp's log-probabilities behind beginnings of these lengths, in nats.

    The first is that of all tokens, the second that of those with at least one percent.
    """
    base = load_base_model(str(file), "float32", torch.device("cpu"))
    with torch.no_grad():
        ours = base.model.logits(base.model.hidden(torch.tensor([tokens])))[0].log_softmax(-1)
    ours = ours[[length - 1 for length in lengths]]
    with LlamaCpp(file) as reference:
        theirs = torch.tensor(
            [reference.log_probabilities(tokens[:length], ours.shape[1], chosen) for length in lengths]
        )
    apart = (ours - theirs).abs()
    return apart.max().item(), apart[theirs > math.log(0.01)].max().item()


def real_differences(file: Path) -> tuple[float, float]:
    """Those of SmolLM2 on a prompt as the experiment's are."""
    with LlamaCpp(file) as reference:
        tokens = reference.encode(PROMPT, add_special=True, parse_special=False)
        (chosen,) = reference.encode(" the", add_special=False, parse_special=False)
    return differences(file, tokens, chosen, range(1, len(tokens) + 1, 6))


@pytest.fixture(autouse=True)
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Conversions go beside the test's files, which are put away with it: those of a real model are large."""
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))
    yield
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("changes", [{}, {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_log_probabilities_are_those_of_llama_cpp(architecture: str, changes: dict[str, Any], tmp_path: Path):
    """A tiny float32 model of each architecture computes what llama.cpp does."""
    file = tmp_path / "tiny.gguf"
    write_tiny_gguf(file, tiny_model(tmp_path / "tiny", architecture, **changes))
    tokens = [0, *(5 + 7 * place % 250 for place in range(60))]
    assert differences(file, tokens, 80, range(1, 61, 10))[0] < 1e-3


@needs_smollm2
def test_a_real_model_in_float32_is_that_of_llama_cpp(tmp_path: Path):
    """SmolLM2's weights, dequantised into a float32 file, give llama.cpp's log-probabilities."""
    assert SMOLLM2 is not None
    read = gguf.GGUFReader(SMOLLM2)
    file = tmp_path / "f32.gguf"
    stored = {
        tensor.name: (gguf.dequantize(tensor.data, tensor.tensor_type), gguf.GGMLQuantizationType.F32)
        for tensor in read.tensors
    }
    fields = {key: value for key, value in open_gguf(SMOLLM2).fields.items() if key != "general.architecture"}
    write_gguf(file, "llama", fields, stored)
    largest, _ = real_differences(file)
    print(f"SmolLM2 in float32 is {largest:.5f} nats from llama.cpp at most")
    assert largest < 0.01


@needs_smollm2
def test_a_quantised_model_is_near_that_of_llama_cpp():
    """SmolLM2 in Q4_1 differs, since llama.cpp rounds to 8 bits also what it multiplies the weights with."""
    assert SMOLLM2 is not None
    largest, probable = real_differences(SMOLLM2)
    print(
        f"SmolLM2 in Q4_1 is {largest:.2f} nats from llama.cpp at most, {probable:.2f} among probable tokens"
    )
    assert largest < 1
    assert probable < 0.3
