"""The learning rate of models that nobody has searched one for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from base_models import ModelShape, shape_of_config, shape_on_the_hub
from symptoms.train.request.learning_rate_by_width import rate_by_width


@pytest.mark.parametrize(
    ("family", "hidden_size", "rate"),
    [
        # What get_lr of tinker-cookbook 0.6.1 returns for Llama-3.2-1B, Llama-3.1-8B, Qwen3-8B and Qwen3-4B.
        ("llama", 2048, 4.9e-4),
        ("llama", 4096, 2.9e-4),
        ("qwen", 4096, 4.7e-4),
        ("qwen", 2560, 4.9e-4),
        (None, 2048, None),
    ],
)
def test_the_rate_falls_with_the_width(family: str, hidden_size: int, rate: float | None):
    """Each family has an exponent of its own, and a family without one has no rate."""
    assert rate_by_width(ModelShape(family, hidden_size)) == rate  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"model_type": "llama", "hidden_size": 576}, ModelShape("llama", 576)),
        (
            {"model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text", "hidden_size": 2560}},
            ModelShape("qwen", 2560),
        ),
        ({"model_type": "gpt_oss", "hidden_size": 2880}, ModelShape(None, 2880)),
        ({"model_type": "llama"}, None),
    ],
)
def test_the_shape_that_a_config_tells(config: dict[str, object], shape: ModelShape | None):
    """Width and family are read at the top or from the language model's part of a larger model."""
    assert shape_of_config(config) == shape


def test_a_model_that_the_hub_does_not_know_has_no_shape(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What the hub's client has in its cache is read; what it cannot find has no shape, and is no error."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert shape_on_the_hub("example-lab/absent") is None
    assert shape_on_the_hub("not a name") is None
    snapshot = tmp_path / "models--example-lab--tiny" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "qwen3", "hidden_size": 64}))
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    assert shape_on_the_hub("example-lab/tiny:variant") == ModelShape("qwen", 64)
