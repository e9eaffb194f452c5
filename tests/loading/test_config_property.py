"""Whatever is changed in a config.json: it is read as transformers reads it, or refused in a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_config_defaults import OWN, full_config

from their_configs import CLASSES, in_our_terms, is_plain, their_config
from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tinker_local.loading.config.config_json import read_config
from tinker_local.loading.config.known_settings import HARMLESS, NEUTRAL
from tiny_models import LLAMA3_ROPE, write_tiny_model

FOLDER = Path("some folder")
KEYS = sorted({*full_config("LlamaForCausalLM"), *NEUTRAL, *(key for own in OWN.values() for key in own)})

words = st.sampled_from(
    ["silu", "swish", "gelu", "default", "llama3", "linear", "yarn", "full_attention", "sliding_attention"]
)
# Sizes for which a tiny model still has tables of positions, and sizes that no machine has.
numbers = (
    st.integers(-2, 2**16) | st.integers(2**40) | st.floats() | st.sampled_from([0, 1, 2, 32, 64, 10**400])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | words | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
rope_keys = st.sampled_from(
    [*LLAMA3_ROPE, "type", "partial_rotary_factor", "attention_factor", "full_attention"]
)
ropes = st.dictionaries(rope_keys, values, max_size=6)
changes = (
    st.tuples(st.sampled_from(KEYS), values)
    | st.tuples(st.text(max_size=12), values)
    | st.tuples(st.sampled_from(["rope_parameters", "rope_scaling"]), ropes)
    | st.tuples(st.just("layer_types"), st.lists(words, min_size=2, max_size=2))
)


def as_read(value: Any) -> Any:
    """The value as it comes back from the file."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("architecture", CLASSES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(change=changes, newer=st.booleans())
@example(change=("rope_theta", math.nan), newer=False)
@example(change=("hidden_size", 10**400), newer=False)
@example(change=("rope_theta", 10**400), newer=False)
@example(change=("is_causal", None), newer=True)
@example(change=("rope_parameters", []), newer=True)
@example(change=("rope_scaling", []), newer=False)
def test_one_changed_key(architecture: str, change: tuple[str, Any], newer: bool):
    """It is read as the reference reads it; what that refuses is refused, or no number depends on it."""
    key, value = change
    original = full_config(architecture)
    if newer:
        # As transformers 5 saves it, with all of the positions in one place.
        del original["rope_scaling"], original["rope_theta"]
        original["rope_parameters"] = dict(LLAMA3_ROPE)
    changed = {**original, key: as_read(value)}
    try:
        read = read_config(changed, FOLDER)
    except StartupError as error:
        assert "\n" not in str(error)
        return
    try:
        theirs = their_config(changed, architecture)
    except Exception:  # noqa: BLE001  # whatever a library raises for nonsense
        # It holds settings to their types that no number depends on.
        assert key in HARMLESS or read == read_config(original, FOLDER)
        return
    assert is_plain(theirs)
    assert read == in_our_terms(theirs, architecture)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(change=changes, architecture=st.sampled_from(sorted(CLASSES)))
def test_loading_ends_in_a_model_or_a_sentence(
    architecture: str, change: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory
):
    """A folder whose config.json has one odd value is loaded or refused, and never ends otherwise."""
    folder = tmp_path_factory.getbasetemp() / f"changed {architecture}"
    if not folder.exists():
        write_tiny_model(folder, architecture)
        (folder / "original.json").write_text((folder / "config.json").read_text())
    original = json.loads((folder / "original.json").read_text())
    (folder / "config.json").write_text(json.dumps({**original, change[0]: change[1]}))
    try:
        model = load_base_model(str(folder), "float32", torch.device("cpu")).model
    except StartupError as error:
        assert "\n" not in str(error)
        return
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        assert model.logits(model.hidden(tokens)).shape == (1, 8, 258)
