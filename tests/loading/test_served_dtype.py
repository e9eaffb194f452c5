"""In which type a model answers."""

from __future__ import annotations

import pytest
import torch

from tinker_local.loading import choose_dtype

CPU = torch.device("cpu")


def test_a_classifier_of_135_million_parameters_answers_in_float32(monkeypatch: pytest.MonkeyPatch):
    """Also where bfloat16 is fast, which moved the best label on SmolLM2-135M in 1 of 6 prompts.

    Seen with torch 2.13.0 on the CPU and 30 label tokens: computing in it did, its weights alone did not.
    """
    monkeypatch.setattr("tinker_local.loading.base_model.cpu_flags", lambda: frozenset({"avx512_bf16"}))
    assert choose_dtype("auto", 135_000_000, CPU) == torch.float32
    assert choose_dtype("auto", 1_000_000_000, CPU) == torch.bfloat16
    assert choose_dtype("bfloat16", 135_000_000, CPU) == torch.bfloat16
