"""Adapters with anything at all in their two files: read, or refused in one sentence."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from tinker_local.errors import AdapterError
from tinker_local.importing.files import AdapterFiles, read_adapter_files
from tinker_local.importing.layers import ForeignAdapter
from tinker_local.importing.mlx_adapter import read_mlx_adapter
from tinker_local.importing.peft_adapter import read_peft_adapter

TYPES = [torch.float32, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.complex64]
LAYERS = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "lm_head", "model.unembed_tokens"]

scraps = st.text("q_proj.layers(0[|)*?{}\\\\^$:<>P=!i9]", max_size=8)
numbers = st.one_of(st.integers(-1, 8), st.integers(10**300, 10**400), st.floats(), st.just(None))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, scraps),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(scraps, inner, max_size=2)),
    max_leaves=4,
)
patterns = st.one_of(st.dictionaries(scraps, numbers, max_size=3), anything)
shapes = st.one_of(st.just([4, 6]), st.lists(st.integers(0, 4), max_size=4))
tensors = st.builds(lambda shape, kind: torch.ones(shape, dtype=kind), shapes, st.sampled_from(TYPES))


def named(parts: list[str]) -> st.SearchStrategy[dict[str, torch.Tensor]]:
    keys = st.one_of(
        st.builds(lambda layer, part: part.format(layer), st.sampled_from(LAYERS), st.sampled_from(parts)),
        scraps,
    )
    return st.dictionaries(keys, tensors, min_size=1, max_size=5)


def holds(config: dict[str, Any], tensors: dict[str, torch.Tensor], is_mlx: bool) -> AdapterFiles:
    return AdapterFiles(Path("theirs"), config, tensors, is_mlx)


def is_whole(foreign: ForeignAdapter) -> bool:
    return all(term.a.ndim == term.b.ndim == 2 and term.rank > 0 for term in foreign.terms.values())


@given(
    config=st.fixed_dictionaries(
        {"r": st.one_of(st.just(4), anything), "lora_alpha": st.one_of(st.just(8), anything)},
        optional={
            "rank_pattern": patterns,
            "alpha_pattern": patterns,
            "target_modules": anything,
            "use_rslora": anything,
            "init_lora_weights": anything,
            "bias": anything,
            "peft_type": anything,
            "base_model_name_or_path": anything,
        },
    ),
    tensors=named(["base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"]),
)
def test_an_adapter_of_peft_is_read_or_refused(config: dict[str, Any], tensors: dict[str, torch.Tensor]):
    """Whatever its settings, patterns and tensors are; a refusal is one line that ends as a sentence."""
    try:
        assert is_whole(read_peft_adapter(holds(config, tensors, False)))
    except AdapterError as error:
        assert str(error).endswith(".")
        assert "\n" not in str(error)


@given(
    config=st.fixed_dictionaries(
        {"lora_parameters": st.one_of(st.fixed_dictionaries({"scale": anything}), anything)},
        optional={"fine_tune_type": st.one_of(st.just("lora"), anything), "model": anything},
    ),
    tensors=named(["{}.lora_a", "{}.lora_b"]),
)
def test_an_adapter_of_mlx_is_read_or_refused(config: dict[str, Any], tensors: dict[str, torch.Tensor]):
    """As above."""
    try:
        assert is_whole(read_mlx_adapter(holds(config, tensors, True)))
    except AdapterError as error:
        assert str(error).endswith(".")


@pytest.mark.parametrize("kind", ["F8_E8M0", "F4"])
def test_a_type_that_torch_has_not_is_refused_by_name(kind: str):
    """Where safetensors can read a file and torch cannot hold what is in it."""
    size = 4 if kind == "F4" else 8
    header = json.dumps({"x": {"dtype": kind, "shape": [2, 4], "data_offsets": [0, size]}})
    header += " " * (-len(header) % 8)
    content = struct.pack("<Q", len(header)) + header.encode() + bytes(size)
    with TemporaryDirectory() as folder:
        (Path(folder) / "adapter_config.json").write_text("{}")
        (Path(folder) / "adapter_model.safetensors").write_bytes(content)
        with pytest.raises(AdapterError, match=rf"stores numbers as {kind}, which is not read"):
            read_adapter_files(Path(folder))


def test_settings_that_are_nested_without_end_are_refused():
    """Deeper than Python reads."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "adapter_config.json").write_text("[" * 100_000)
        save_file({"x": torch.ones(1)}, Path(folder) / "adapter_model.safetensors")
        with pytest.raises(AdapterError, match="is not valid JSON"):
            read_adapter_files(Path(folder))
