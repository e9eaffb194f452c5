"""Settings that are not honoured are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_config_defaults import full_config
from transformers import GenerationConfig

from their_configs import CLASSES
from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tinker_local.loading.config.config_json import read_config
from tinker_local.loading.config.known_settings import HARMLESS, NEUTRAL
from tiny_models import LLAMA3_ROPE

FOLDER = Path("x")
LLAMA = "LlamaForCausalLM"


def refusal(architecture: str = LLAMA, **changes: Any) -> str:
    with pytest.raises(StartupError) as caught:
        read_config({**full_config(architecture), **changes}, FOLDER)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("architecture", CLASSES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("query_pre_attn_scalar", 256),
        ("attn_logit_softcapping", 50.0),
        ("no_rope_layers", [1, 1, 0]),
        ("num_experts", 8),
        ("hidden_dropout", 0.1),
        ("transformers_weights", "other.safetensors"),
        ("per_layer_config", {"0": {"head_dim": 4}}),
        ("original_max_position_embeddings", 64),
        ("tie_last_hidden_states", True),
    ],
)
def test_a_setting_that_is_not_known(architecture: str, name: str, value: Any):
    """What nobody here knows is refused, since it could change what the model computes."""
    assert refusal(architecture, **{name: value}) == (
        f"config.json of x sets {name}, which is not known here; take the key out if it does not change "
        "what the model computes, or choose another model."
    )


def test_a_name_that_cannot_be_read():
    """A key with a line break in it does not break the sentence."""
    assert "sets 'odd\\nkey', which" in refusal(**{"odd\nkey": 1})


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}])
def test_an_unknown_setting_that_is_switched_off(value: Any):
    """Null, false, zero and what is empty say that there is nothing to compute."""
    settings = full_config(LLAMA)
    assert read_config({**settings, "num_experts": value}, FOLDER) == read_config(settings, FOLDER)


@pytest.mark.parametrize("architecture", CLASSES)
def test_harmless_settings(architecture: str):
    """Settings that carry no computation are passed over, whatever they say."""
    settings = full_config(architecture)
    elsewhere = {name for name, reason in HARMLESS.items() if reason == "read elsewhere"}
    odd = dict.fromkeys(HARMLESS.keys() - elsewhere, "anything")
    assert read_config({**settings, **odd}, FOLDER) == read_config(settings, FOLDER)


def test_what_only_sampling_needs_is_harmless():
    """Older files say in config.json how to sample; each of the reference's parameters is known as such."""
    assert set(GenerationConfig._get_default_generation_params()) - HARMLESS.keys() == set()


@pytest.mark.parametrize("name", NEUTRAL)
def test_settings_of_kin(name: str):
    """What other architectures have is fine at the value that changes nothing, and refused at all others."""
    settings = full_config(LLAMA)
    settings.pop(name, None)
    for neutral in NEUTRAL[name]:
        assert read_config({**settings, name: neutral}, FOLDER) == read_config(settings, FOLDER)
    for other in (2, False, 128, 0, "other"):
        assert f"x sets {name}, which is not supported; choose another model." == refusal(**{name: other})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"attention_bias": True},
            "x sets attention_bias, which is not supported; choose another model.",
        ),
        ({"mlp_bias": True}, "x sets mlp_bias, which is not supported; choose another model."),
        ({"hidden_act": "gelu"}, "x uses gelu, and only silu is supported; choose another."),
        (
            {"auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}},
            "x brings code of its own (auto_map in config.json), which is not run; choose another model.",
        ),
        (
            {"layer_types": ["full_attention"]},
            "x/config.json has 1 layer_types for 2 layers; it may be damaged.",
        ),
        (
            {"layer_types": ["full_attention", "chunked_attention"]},
            "x has layers of type chunked_attention (layer_types in config.json), which is not supported; "
            "choose another model.",
        ),
        (
            {"layer_types": ["sliding_attention"] * 2},
            "x/config.json names sliding_attention in layer_types, and no window is switched on; it may "
            "be damaged.",
        ),
        (
            {"num_key_value_heads": 3},
            "x/config.json has num_attention_heads 64, no multiple of its num_key_value_heads 3; it may "
            "be damaged.",
        ),
        (
            {"hidden_size": 100},
            "x/config.json has hidden_size 100, no multiple of its num_attention_heads 64; it may be "
            "damaged.",
        ),
        (
            {"head_dim": 7},
            "x/config.json means heads of width 7, which has to be even; it may be damaged.",
        ),
        (
            {"tie_word_embeddings": 1},
            "x/config.json has a wrong value for tie_word_embeddings (Input should be a valid boolean); "
            "it may be damaged.",
        ),
        (
            {"vocab_size": "258"},
            "x/config.json has a wrong value for vocab_size (Input should be a valid integer); it may be "
            "damaged.",
        ),
        (
            {"rms_norm_eps": float("nan")},
            "x/config.json has a wrong value for rms_norm_eps (Input should be less than 1); it may be "
            "damaged.",
        ),
        ({"architectures": "LlamaForCausalLM"}, "has a wrong value for architectures; it may be damaged."),
        ({"model_type": ["llama"]}, "has a wrong value for model_type; it may be damaged."),
        (
            {"model_type": "granite"},
            "names the architecture LlamaForCausalLM and the model_type granite, which",
        ),
        (
            {"architectures": ["LlamaForCausalLM", "MistralForCausalLM"]},
            "names the architecture MistralForCausalLM and the model_type llama, which do not belong",
        ),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "holds a LlamaForSequenceClassification, which",
        ),
        ({"architectures": ["BertModel"], "model_type": "bert"}, "holds a BertModel, which is not supported"),
        (
            {
                "architectures": ["LlavaForConditionalGeneration"],
                "text_config": {"model_type": "llama"},
                "vision_config": {"model_type": "clip_vision_model"},
            },
            "holds a LlavaForConditionalGeneration and nests text_config and vision_config, which is not",
        ),
        ({"text_config": {"model_type": "llama"}}, "sets text_config, which is not known here"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], sentence: str):
    """Each kind of what is not computed, or makes no sense, has its sentence."""
    assert sentence in refusal(**changes)


def test_qwen2_without_biases():
    """Qwen2 has biases whatever its file says, so that one that says it has none is refused."""
    assert "sets attention_bias to false, and a Qwen2ForCausalLM always has biases" in refusal(
        "Qwen2ForCausalLM", attention_bias=False
    )


@pytest.mark.parametrize(
    ("quantization", "told"),
    [
        ({"quant_method": "gptq", "bits": 4}, "quantization_config in config.json: quant_method gptq"),
        ({"quant_method": "awq", "bits": 4}, "quantization_config in config.json: quant_method awq"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "quant_method bitsandbytes"),
        (
            {"quant_method": "compressed-tensors", "format": "pack-quantized"},
            "quant_method compressed-tensors",
        ),
        ({"quant_method": "fp8"}, "quant_method fp8"),
        ({"quant_algo": "NVFP4"}, "quant_algo NVFP4"),
        ({"bits": 4, "group_size": 64}, "bits 4"),
        ({}, "of an unknown kind"),
        ("4bit", "of an unknown kind"),
    ],
)
def test_every_quantisation(quantization: Any, told: str):
    """However weights were quantised, the file says it and is refused with what it says."""
    assert told in refusal(quantization_config=quantization)
    # MLX names it so, beside the other or alone.
    assert "(quantization in config.json: " in refusal(quantization=quantization)


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("rope", "sentence"),
    [
        (
            {"rope_type": "linear", "factor": 2.0},
            "scales its positions by 'linear'; supported: default, llama3.",
        ),
        ({"type": "dynamic", "factor": 2.0}, "scales its positions by 'dynamic'"),
        (YARN, "scales its positions by 'yarn'"),
        ({"rope_type": "longrope"}, "scales its positions by 'longrope'"),
        ({"type": "mrope", "mrope_section": [1, 1, 2]}, "scales its positions by 'mrope'"),
        ({"rope_type": None}, "scales its positions by None"),
        ({"rope_type": "llama3", "type": "default"}, "sets rope_type and type in rope_scaling, which differ"),
        (
            {**LLAMA3_ROPE, "attention_factor": 1.2},
            "x/config.json sets attention_factor in rope_scaling, which is not honoured for positions of "
            "type llama3; take it out if it does not change what the model computes, or choose another "
            "model.",
        ),
        ({"rope_type": "default", "factor": 2.0}, "sets factor in rope_scaling, which is not honoured"),
        ({"mscale": 0.7}, "sets mscale in rope_scaling, which is not honoured for positions of type default"),
        (
            {"full_attention": {"rope_theta": 5.0}},
            "sets full_attention in rope_scaling, which is not honoured",
        ),
        ({"partial_rotary_factor": 0.5}, "has a wrong value for partial_rotary_factor in rope_scaling"),
        (
            {"rope_type": "llama3", "factor": 8.0},
            "has no low_freq_factor in rope_scaling; it may be incomplete.",
        ),
        ({**LLAMA3_ROPE, "factor": 0}, "has a wrong value for factor in rope_scaling"),
        ({**LLAMA3_ROPE, "factor": float("inf")}, "has a wrong value for factor in rope_scaling"),
        ({**LLAMA3_ROPE, "low_freq_factor": 4.0}, "low_freq_factor, which has to be below high_freq_factor"),
        ({**LLAMA3_ROPE, "original_max_position_embeddings": 32.0}, "has a wrong value for original_max"),
        ("llama3", "has a wrong value for rope_scaling; it may be damaged."),
        ({"rope_theta": 7.0}, "sets rope_theta to 500.0, and in rope_scaling to 7.0; take the one out"),
        ({"rope_theta": None}, "sets rope_theta to 500.0, and in rope_scaling to None"),
    ],
)
def test_positions(rope: Any, sentence: str):
    """Every kind of scaling, and every key beside one that is honoured, is refused by name."""
    changes = {"rope_theta": 500.0}
    if isinstance(rope, dict) and rope.get("rope_theta") == LLAMA3_ROPE["rope_theta"]:
        changes["rope_theta"] = LLAMA3_ROPE["rope_theta"]
    assert sentence in refusal(**changes, rope_scaling=rope)


def test_two_layouts_that_differ():
    """Positions told in both layouts have to be the same in both."""
    settings = {**full_config(LLAMA), "rope_theta": 500000.0}
    both = {**settings, "rope_parameters": dict(LLAMA3_ROPE)}
    assert read_config(both, FOLDER) == read_config(settings, FOLDER)
    assert refusal(rope_theta=500000.0, rope_parameters={**LLAMA3_ROPE, "factor": 2.0}) == (
        "x/config.json sets rope_scaling and rope_parameters, which do not say the same; take the one out "
        "that is wrong."
    )


@pytest.mark.parametrize("theta", [0, -1.0, float("nan"), float("inf"), "10000", True, None, 10**400])
def test_a_base_that_is_none(theta: Any):
    """The base of the frequencies is a number above zero."""
    assert "has a wrong value for rope_theta" in refusal(rope_theta=theta, rope_scaling=None)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "does not hold a JSON object"),
        (None, "cannot be read"),
    ],
    ids=["cut", "no text", "long number", "deep", "no object", "folder"],
)
def test_a_file_that_is_no_object(content: bytes | None, sentence: str, tmp_path: Path):
    """Whatever a config.json holds that is no object of JSON ends in a sentence."""
    (tmp_path / "model.safetensors").touch()
    if content is None:
        (tmp_path / "config.json").mkdir()
    else:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(StartupError) as caught:
        load_base_model(str(tmp_path), "float32", torch.device("cpu"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
