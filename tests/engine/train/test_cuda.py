"""A GPU computes what the processor does. Skips where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tinker_local.domain.datum import Datum
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model
from tiny_models import write_tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
ADAM = AdamSettings(1e-3, 0.9, 0.95, 1e-8, 0.0, 0.0)


def datum(length: int, seed: int) -> Datum:
    tokens = np.random.default_rng(seed).integers(0, 258, length + 1)
    weights = (np.arange(length) >= length // 2).astype(np.float32)
    return Datum(tokens[:-1], {"target_tokens": tokens[1:], "weights": weights})


def two_steps(folder: Path, device: str) -> list[np.ndarray]:
    """Log-probabilities before a step, after it, and after another."""
    where = torch.device(device)
    model = load_base_model(str(folder), "float32", where).model
    training = TrainingModel(model, Adapter.initial(model.config, LoraConfig(8), 0, where))
    datums, told = [datum(48, 1), datum(31, 2)], []
    for _ in range(3):
        outputs, _ = training.forward_backward(datums, "cross_entropy", forward_only=False)
        told.append(np.concatenate([output.fields["logprobs"] for output in outputs]))
        training.optim_step(ADAM)
    return told


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"])
def test_training_on_a_gpu_is_training_on_the_processor(tmp_path: Path, architecture: str) -> None:
    """In float32 the log-probabilities before and after steps differ by rounding alone."""
    write_tiny_model(tmp_path, architecture)
    for on_processor, on_gpu in zip(two_steps(tmp_path, "cpu"), two_steps(tmp_path, "cuda"), strict=True):
        np.testing.assert_allclose(on_gpu, on_processor, atol=2e-3)
