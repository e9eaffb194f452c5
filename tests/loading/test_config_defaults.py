"""A config.json means here what it means to transformers, also where it leaves settings out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModelForCausalLM

from their_configs import CLASSES, in_our_terms, is_plain, their_config
from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tinker_local.loading.config.architectures import ARCHITECTURES
from tinker_local.loading.config.config_json import read_config
from tinker_local.loading.config.known_settings import HARMLESS
from tinker_local.loading.config.rope_settings import ROPE_KEYS
from tiny_models import LLAMA3_ROPE, write_tiny_model

FOLDER = Path("some folder")

# None of these values is a default of any architecture.
FULL: dict[str, Any] = {
    "vocab_size": 258,
    "hidden_size": 128,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    # A multiple of all that the number of key heads can be by default.
    "num_attention_heads": 64,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "hidden_act": "silu",
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-3,
    "tie_word_embeddings": True,
    "rope_theta": 500.0,
    "rope_scaling": {key: value for key, value in LLAMA3_ROPE.items() if key != "rope_theta"},
    "rope_parameters": None,
    "attention_bias": False,
    "attention_dropout": 0.1,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": [1, 2],
    "pad_token_id": 1,
    "use_cache": False,
    "torch_dtype": "bfloat16",
    "dtype": "bfloat16",
}
OWN: dict[str, dict[str, Any]] = {
    "LlamaForCausalLM": {"mlp_bias": False, "pretraining_tp": 1},
    "MistralForCausalLM": {"sliding_window": None},
    "Qwen2ForCausalLM": {"use_sliding_window": True, "sliding_window": 2**20, "max_window_layers": 1},
    "Qwen3ForCausalLM": {"use_sliding_window": True, "sliding_window": 2**20, "max_window_layers": 1},
}


def full_config(architecture: str) -> dict[str, Any]:
    settings = {**FULL, **OWN[architecture], "architectures": [architecture]}
    settings["model_type"] = CLASSES[architecture].model_type
    if architecture == "Qwen2ForCausalLM":
        del settings["attention_bias"]
    return settings


@pytest.mark.parametrize(
    "left_out", ["nothing", *FULL, *sorted({key for own in OWN.values() for key in own})]
)
@pytest.mark.parametrize("architecture", CLASSES)
def test_what_is_left_out_has_the_default_of_transformers(architecture: str, left_out: str):
    """Whichever key is left out, the numbers are those of the reference's configuration class."""
    settings = full_config(architecture)
    settings.pop(left_out, None)
    theirs = their_config(settings, architecture)
    assert is_plain(theirs)
    assert read_config(settings, FOLDER) == in_our_terms(theirs, architecture)


@pytest.mark.parametrize("architecture", CLASSES)
def test_an_empty_config_has_all_defaults(architecture: str):
    """With the architecture alone every number is a default; Mistral's window is one and is refused."""
    settings = {"architectures": [architecture]}
    theirs = their_config(settings, architecture)
    if architecture == "MistralForCausalLM":
        assert theirs.sliding_window == 4096
        with pytest.raises(StartupError, match="a sliding window of 4096 tokens"):
            read_config(settings, FOLDER)
    else:
        assert read_config(settings, FOLDER) == in_our_terms(theirs, architecture)


@pytest.mark.parametrize("key", ["num_key_value_heads", "head_dim", "layer_types", "rope_scaling"])
@pytest.mark.parametrize("architecture", CLASSES)
def test_null_is_what_transformers_takes_it_for(architecture: str, key: str):
    """Null stands for a value worked out from others, or is refused as the reference refuses it."""
    settings = {**full_config(architecture), key: None}
    if (architecture, key) in [
        ("Qwen3ForCausalLM", "head_dim"),
        ("MistralForCausalLM", "num_key_value_heads"),
    ]:
        with pytest.raises(StrictDataclassError, match=key):
            their_config(settings, architecture)
        with pytest.raises(StartupError, match=f"has a wrong value for {key}"):
            read_config(settings, FOLDER)
    else:
        theirs = in_our_terms(their_config(settings, architecture), architecture)
        assert read_config(settings, FOLDER) == theirs


@pytest.mark.parametrize("architecture", CLASSES)
def test_every_key_of_transformers_is_known(architecture: str):
    """Each setting that the reference's class has is honoured or has a reason to be passed over."""
    known = {
        *ARCHITECTURES[architecture].defaults,
        *HARMLESS,
        *ROPE_KEYS,
        "pretraining_tp",
        "is_encoder_decoder",
    }
    assert set(CLASSES[architecture]().to_dict()) - known == set()


# As the files of the released models have them, in the layout of transformers 4.
LLAMA32 = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 8192,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.45.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 1024,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 40960,
    "max_window_layers": 28,
    "model_type": "qwen3",
    "num_attention_heads": 16,
    "num_hidden_layers": 28,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
RELEASED: dict[str, dict[str, Any]] = {
    "Llama 3.2 1B": LLAMA32,
    "Llama 3.2 1B by unsloth": {
        **LLAMA32,
        "_name_or_path": "meta-llama/Llama-3.2-1B",
        "pad_token_id": 128004,
        "unsloth_fixed": True,
        "unsloth_version": "2024.9",
        "_attn_implementation_autoset": True,
    },
    "SmolLM2 135M Instruct": {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 576,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536,
        "is_llama_config": True,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 9,
        "num_hidden_layers": 30,
        "num_key_value_heads": 3,
        "pad_token_id": 2,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_interleaved": False,
        "rope_scaling": None,
        "rope_theta": 100000,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}},
        "transformers_version": "4.42.3",
        "use_cache": True,
        "vocab_size": 49152,
    },
    "TinyLlama 1.1B": {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 2048,
        "initializer_range": 0.02,
        "intermediate_size": 5632,
        "max_position_embeddings": 2048,
        "model_type": "llama",
        "num_attention_heads": 32,
        "num_hidden_layers": 22,
        "num_key_value_heads": 4,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "transformers_version": "4.31.0.dev0",
        "use_cache": True,
        "vocab_size": 32000,
    },
    "Mistral Nemo": {
        "architectures": ["MistralForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 5120,
        "initializer_range": 0.02,
        "intermediate_size": 14336,
        "max_position_embeddings": 128000,
        "model_type": "mistral",
        "num_attention_heads": 32,
        "num_hidden_layers": 40,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.43.3",
        "use_cache": True,
        "vocab_size": 131072,
    },
    "Qwen2.5 0.5B": {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151643,
        "hidden_act": "silu",
        "hidden_size": 896,
        "initializer_range": 0.02,
        "intermediate_size": 4864,
        "max_position_embeddings": 32768,
        "max_window_layers": 24,
        "model_type": "qwen2",
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.40.1",
        "use_cache": True,
        "use_mrope": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
    "Qwen3 0.6B": QWEN3,
}


@pytest.mark.parametrize("layout", ["transformers 4", "transformers 5"])
@pytest.mark.parametrize("model", RELEASED)
def test_released_models(model: str, layout: str, tmp_path: Path):
    """The files of released models are read as the reference reads them, also when it has saved them anew."""
    settings = RELEASED[model]
    architecture = settings["architectures"][0]
    theirs = their_config(settings, architecture)
    if layout == "transformers 5":
        theirs.save_pretrained(tmp_path)
        settings = json.loads((tmp_path / "config.json").read_text())
        assert "rope_parameters" in settings
    assert is_plain(theirs)
    assert read_config(settings, FOLDER) == in_our_terms(theirs, architecture)


def rewrite_config(folder: Path, *removed: str, **changes: Any) -> None:
    file = folder / "config.json"
    settings = {key: value for key, value in json.loads(file.read_text()).items() if key not in removed}
    file.write_text(json.dumps({**settings, **changes}))


@pytest.mark.parametrize("removed", ["architectures", "model_type"])
@pytest.mark.parametrize("architecture", CLASSES)
def test_one_of_architectures_and_model_type_is_enough(architecture: str, removed: str, tmp_path: Path):
    """Either alone tells the architecture, and the logits are the reference's."""
    reference = write_tiny_model(tmp_path, architecture)
    rewrite_config(tmp_path, removed)
    base = load_base_model(str(tmp_path), "float32", torch.device("cpu"))
    assert base.architecture == architecture
    tokens = torch.arange(60)[None]
    with torch.no_grad():
        logits = base.model.logits(base.model.hidden(tokens))
        torch.testing.assert_close(logits, reference(tokens).logits, atol=1e-4, rtol=0)


def test_where_they_disagree_transformers_goes_by_model_type(tmp_path: Path):
    """The reference makes a Qwen2 of this folder, with biases of its own making; here it is refused."""
    write_tiny_model(tmp_path, "LlamaForCausalLM")
    rewrite_config(tmp_path, model_type="qwen2")
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path)).__name__ == "Qwen2ForCausalLM"
    with pytest.raises(StartupError) as caught:
        load_base_model(str(tmp_path), "float32", torch.device("cpu"))
    assert str(caught.value) == (
        f"{tmp_path}/config.json names the architecture LlamaForCausalLM and the model_type qwen2, which do "
        "not belong together; correct the one that is wrong."
    )


@pytest.mark.parametrize("kinds", [["full_attention"] * 2, ["sliding_attention"] * 2])
def test_a_mistral_with_kinds_of_layers(kinds: list[str], tmp_path: Path):
    """The reference takes it for a Ministral, where a window counts for the layers that are told to slide."""
    write_tiny_model(tmp_path, "MistralForCausalLM")
    rewrite_config(tmp_path, layer_types=kinds, sliding_window=16)
    theirs = AutoConfig.from_pretrained(tmp_path)
    assert type(theirs).__name__ == "MinistralConfig"
    settings = json.loads((tmp_path / "config.json").read_text())
    if kinds[0] == "sliding_attention":
        with pytest.raises(StartupError, match="a sliding window of 16 tokens"):
            read_config(settings, tmp_path)
        return
    tokens = torch.arange(60)[None]
    base = load_base_model(str(tmp_path), "float32", torch.device("cpu"))
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        logits = base.model.logits(base.model.hidden(tokens))
        torch.testing.assert_close(logits, reference(tokens).logits, atol=1e-4, rtol=0)
