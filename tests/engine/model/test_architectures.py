"""Every supported architecture computes what the reference implementation of it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from sampling_requests import assert_steps_equal
from tinker_local.engine.model.llama import Llama, linear_layer_shapes
from tinker_local.errors import StartupError
from tinker_local.loading import BaseModel, load_base_model
from tiny_models import ARCHITECTURES, LLAMA3_ROPE, write_tiny_llama, write_tiny_model

CPU = torch.device("cpu")
TOKENS = torch.randint(0, 258, (3, 100), generator=torch.Generator().manual_seed(1))


def load(folder: Path) -> BaseModel:
    return load_base_model(str(folder), "float32", CPU)


def assert_same_logits(model: Llama, reference: PreTrainedModel) -> None:
    """Logits within 1e-4 of the reference's, in float32."""
    with torch.no_grad():
        expected, actual = reference(TOKENS).logits, model.logits(model.hidden(TOKENS))
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


def change_config(folder: Path, *removed: str, **changes: Any) -> None:
    """Rewrite config.json by hand, as it is in checkpoints that this transformers did not write."""
    file = folder / "config.json"
    settings = {key: value for key, value in json.loads(file.read_text()).items() if key not in removed}
    file.write_text(json.dumps({**settings, **changes}))


def refusal(folder: Path) -> str:
    with pytest.raises(StartupError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_equal_transformers(architecture: str, tied: bool, tmp_path: Path):
    """Logits equal the reference's, and the model says which architecture it is."""
    reference = write_tiny_model(tmp_path, architecture, tie_word_embeddings=tied)
    base = load(tmp_path)
    assert base.architecture == architecture == type(reference).__name__
    assert_same_logits(base.model, reference)


# As SmolLM2's config.json has it (135M, 360M, 1.7B), but for its size: a number of heads that is no power
# of two, three queries to a key or one, weights in bfloat16, and fields that nothing here reads.
SMOLLM2 = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "initializer_range": 0.3,
    "is_llama_config": True,
    "mlp_bias": False,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_interleaved": False,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}


@pytest.mark.parametrize(
    ("heads", "key_heads", "head_dim", "theta"), [(9, 3, 8, 100_000), (15, 5, 8, 100_000), (4, 4, 8, 130_000)]
)
def test_smollm2_equals_transformers(heads: int, key_heads: int, head_dim: int, theta: int, tmp_path: Path):
    """A config.json as SmolLM2's is read as transformers reads it, in prompts and in their continuation."""
    write_tiny_llama(
        tmp_path,
        hidden_size=heads * head_dim,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        tie_word_embeddings=True,
    ).to(torch.bfloat16).save_pretrained(tmp_path)
    change_config(tmp_path, "rope_parameters", "head_dim", "dtype", **SMOLLM2, rope_theta=theta)
    base = load(tmp_path)
    model = base.model
    assert (model.config.head_dim, model.config.rope_theta) == (head_dim, theta)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert_same_logits(model, reference)
    assert_steps_equal(reference, base, TOKENS[0].tolist())


@pytest.mark.parametrize(
    ("architecture", "part"),
    [
        ("Qwen2ForCausalLM", "q_proj.bias"),
        ("Qwen2ForCausalLM", "k_proj.bias"),
        ("Qwen2ForCausalLM", "v_proj.bias"),
        ("Qwen3ForCausalLM", "q_norm.weight"),
        ("Qwen3ForCausalLM", "k_norm.weight"),
    ],
)
def test_every_added_part_matters(architecture: str, part: str, tmp_path: Path):
    """A model that forgot one bias or norm would be caught by the comparison above."""
    reference = write_tiny_model(tmp_path, architecture)
    model = load(tmp_path).model
    neutral = torch.zeros_like if part.endswith("bias") else torch.ones_like
    weights = {name: neutral(w) if name.endswith(part) else w for name, w in model.weights.items()}
    changed = Llama(model.config, weights)
    with torch.no_grad():
        difference = (changed.logits(changed.hidden(TOKENS)) - reference(TOKENS).logits).abs().max()
    assert difference > 1e-2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_token_steps_equal_transformers(architecture: str, tmp_path: Path):
    """A prompt that is prefilled and continued token by token has the reference's scores."""
    reference = write_tiny_model(tmp_path, architecture)
    assert_steps_equal(reference, load(tmp_path), TOKENS[0, :12].tolist())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_adapters_change_the_same_layers_everywhere(architecture: str, tmp_path: Path):
    """The linear layers are those of the reference: seven a block, and the unembedding."""
    reference = write_tiny_model(tmp_path, architecture)
    expected = {
        name: tuple(module.weight.shape)
        for name, module in reference.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    assert expected == linear_layer_shapes(load(tmp_path).model.config)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_older_rope_layout(architecture: str, tmp_path: Path):
    """A config.json with rope_theta and rope_scaling beside each other is read as the newer one is."""
    reference = write_tiny_model(tmp_path, architecture, rope_parameters=LLAMA3_ROPE)
    newer = load(tmp_path).model.config
    scaling = {key: value for key, value in LLAMA3_ROPE.items() if key != "rope_theta"}
    change_config(tmp_path, "rope_parameters", rope_theta=LLAMA3_ROPE["rope_theta"], rope_scaling=scaling)
    base = load(tmp_path)
    assert base.model.config == newer
    assert_same_logits(base.model, reference)
    assert_same_logits(base.model, AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_plain_rope_theta(architecture: str, tmp_path: Path):
    """A frequency base alone, in either layout, is the reference's."""
    reference = write_tiny_model(
        tmp_path, architecture, rope_parameters={"rope_type": "default", "rope_theta": 500.0}
    )
    assert_same_logits(load(tmp_path).model, reference)
    change_config(tmp_path, "rope_parameters", rope_theta=500.0, rope_scaling=None)
    assert_same_logits(load(tmp_path).model, reference)


def test_llama_2_layout(tmp_path: Path):
    """Llama 2 leaves out key heads, head width and frequency base, and stores frequencies as weights."""
    write_tiny_llama(tmp_path, num_key_value_heads=4)
    weights = load_file(tmp_path / "model.safetensors")
    frequencies = 10000.0 ** -(torch.arange(4) / 4)
    extra = {f"model.layers.{layer}.self_attn.rotary_emb.inv_freq": frequencies.clone() for layer in range(2)}
    save_file({**weights, **extra}, tmp_path / "model.safetensors", {"format": "pt"})
    omitted = ("num_key_value_heads", "head_dim", "rope_parameters", "attention_bias", "mlp_bias")
    change_config(tmp_path, *omitted, "tie_word_embeddings", "hidden_act", pretraining_tp=1)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert_same_logits(load(tmp_path).model, reference)


@pytest.mark.parametrize("window", [None, 256, 4096])
def test_a_window_as_long_as_the_context_is_none(window: int | None, tmp_path: Path):
    """Mistral's sliding window changes nothing where the whole context fits it."""
    reference = write_tiny_model(tmp_path, "MistralForCausalLM", sliding_window=window)
    assert_same_logits(load(tmp_path).model, reference)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_sliding_window": False, "sliding_window": 64},
        {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 2, "layer_types": None},
        {"use_sliding_window": True, "sliding_window": 256, "max_window_layers": 0, "layer_types": None},
    ],
)
@pytest.mark.parametrize("architecture", ["Qwen2ForCausalLM", "Qwen3ForCausalLM"])
def test_qwens_window_where_it_is_off(architecture: str, changes: dict[str, Any], tmp_path: Path):
    """Qwen names a window that is switched off, begins above the last layer, or spans the context."""
    write_tiny_model(tmp_path, architecture)
    change_config(tmp_path, **changes)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert_same_logits(load(tmp_path).model, reference)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("MistralForCausalLM", {"sliding_window": 64}),
        ("Qwen2ForCausalLM", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1}),
        ("Qwen3ForCausalLM", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 0}),
    ],
)
def test_a_shorter_window_is_refused(architecture: str, changes: dict[str, Any], tmp_path: Path):
    """A layer that does not see the whole context is refused; a context cut to the window is not."""
    write_tiny_model(tmp_path, architecture, **changes)
    assert "a sliding window of 64 tokens, less than its context of 256" in refusal(tmp_path)
    change_config(tmp_path, max_position_embeddings=64)
    assert load(tmp_path).model.config.max_position_embeddings == 64


def test_mistral_without_a_word_of_its_window_has_one(tmp_path: Path):
    """Where config.json leaves the window out, transformers means 4096."""
    write_tiny_model(tmp_path, "MistralForCausalLM", max_position_embeddings=8192)
    change_config(tmp_path, "sliding_window")
    assert "a sliding window of 4096 tokens" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architectures": ["Gemma2ForCausalLM"]}, "holds a Gemma2ForCausalLM, which is not supported"),
        ({"architectures": ["Qwen3MoeForCausalLM"]}, "holds a Qwen3MoeForCausalLM, which is not supported"),
        ({"architectures": None, "model_type": None}, "holds a model without architecture"),
        (
            {"architectures": None, "model_type": "gemma2"},
            "holds a model of type gemma2, which is not supported",
        ),
        ({"attention_bias": True}, "sets attention_bias, which is not supported"),
        ({"hidden_act": "gelu"}, "uses gelu"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "scales its positions by 'yarn'"),
    ],
)
def test_what_is_not_computed_exactly_is_refused(changes: dict[str, Any], sentence: str, tmp_path: Path):
    """Other architectures and settings are refused by name, with what is supported."""
    write_tiny_model(tmp_path, "Qwen3ForCausalLM")
    change_config(tmp_path, **changes)
    told = refusal(tmp_path)
    assert sentence in told
    if "architectures" in changes:
        assert all(name in told for name in ARCHITECTURES)
