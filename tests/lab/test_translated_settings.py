"""`symptoms settings translate`: another tool's configuration as ours, with reasons.

Names and defaults are those of TRL 1.16.0, mlx-lm 0.32.2, tinker-cookbook 0.6.1 and PEFT 0.21.2, each seen in
the installed package: `SFTConfig(...)` and `ModelConfig()` printed, `CONFIG_DEFAULTS` and the loop of
`mlx_lm/lora.py`, `tinker_cookbook/supervised/train.py`, `LoraConfig()`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from base_models import known_models
from command_in_process import in_process
from symptoms.errors import DataError, InputError
from symptoms.settings import TrainingSettings
from symptoms.settings.translated import Translation, translate
from symptoms.settings.translated.lora_scale import OUR_ALPHA
from symptoms.settings.translated.toml_page import as_toml
from symptoms.train import read_settings_file
from symptoms.train.request.other_tools_file import read_other_tools_file
from tinker_local.engine.model.lora import ALPHA

LORA = {"use_peft": True}


def left(translation: Translation) -> Mapping[str, str]:
    return {one.name: one.reason for one in translation.left}


def reason(translation: Translation, name: str) -> str:
    return next(one.reason for one in translation.carried if one.name == name)


def test_alpha_is_the_one_that_our_server_trains_with():
    """The scale that every translation starts from is the engine's own."""
    assert OUR_ALPHA == ALPHA


def test_trl_becomes_ours_with_its_own_defaults_where_the_file_says_nothing():
    """TRL 1.16.0: scale 2 where ours is 4 halves the rate and doubles what the gradient is held to."""
    told = {**LORA, "lora_r": 8, "lora_alpha": 16, "lora_target_modules": "all-linear", "learning_rate": 2e-4}
    translation = translate("trl", told)
    expected = {
        "lora_rank": 8,
        "train_attn": True,
        "train_mlp": True,
        "train_unembed": False,
        "learning_rate": 1e-4,
        "adam_eps": 2e-8,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "weight_decay": 0.0,
        "grad_clip_norm": 2.0,
        "reduction": "mean_per_token",
        "batch_size": 8,
        "gradient_accumulation": 1,
        "epochs": 3,
        "learning_rate_schedule": "linear",
        "warmup_steps": 0,
        "seed": 42,
        "best_by": "last",
    }
    assert {name: translation.settings[name] for name in expected} == expected
    assert "16 / rank 8 = 2" in reason(translation, "learning_rate")
    assert "by default in TRL 1.16.0" in reason(translation, "grad_clip_norm")
    assert "blank line" in left(translation)["eos_token"]
    assert "drop rows" in left(translation)["max_length, by default in TRL 1.16.0"]


def test_trl_without_any_number_has_the_scale_of_its_own_command():
    """TRL 1.16.0's own LoRA is rank 16 with alpha 32, our scale; PEFT's, rank 8 with alpha 8, is not."""
    own, nested = translate("trl", LORA), translate("trl", {"peft_config": {"r": 8}})
    assert (own.settings["lora_rank"], own.settings["learning_rate"]) == (16, 2e-5)
    assert (nested.settings["lora_rank"], nested.settings["learning_rate"]) == (8, 5e-6)
    assert "lora_dropout, by default in TRL 1.16.0" in left(own)
    assert not any(name.startswith("lora_dropout") for name in left(nested))


def test_a_file_of_another_tool_is_not_taken_for_pefts():
    """None of its names would be carried over, and PEFT's defaults would stand for what was said."""
    with pytest.raises(InputError, match="none of PEFT's names"):
        translate("peft", {"learning_rate": 1e-4, "lora_r": 16})


def test_rslora_divides_by_the_root_of_the_rank():
    """With use_rslora alpha 32 at rank 16 is scale 8, four times ours."""
    settings = translate("trl", {**LORA, "use_rslora": True, "learning_rate": 1e-4}).settings
    assert settings["learning_rate"] == 4e-4
    assert settings["grad_clip_norm"] == 0.25


def test_trl_without_lora_is_refused_with_what_to_add():
    """TRL 1.16.0 trains all weights where lora_r is told and use_peft is not."""
    with pytest.raises(InputError, match=r"trains all weights.*use_peft: true"):
        translate("trl", {"lora_r": 8})


def test_a_share_of_all_steps_becomes_their_number_where_the_examples_are_told():
    """Transformers 5.24.0 reads a warmup_steps below 1 as a share, rounded up; its warmup_ratio is gone."""
    told = {**LORA, "warmup_steps": 0.1, "num_train_epochs": 2, "per_device_train_batch_size": 4}
    assert translate("trl", told, examples=99).settings["warmup_steps"] == 5
    without = translate("trl", told)
    assert without.settings["warmup_steps"] == 0
    assert "--examples" in left(without)["warmup_steps"]
    constant = translate("trl", {**LORA, "warmup_steps": 7, "lr_scheduler_type": "constant"})
    assert constant.settings["warmup_steps"] == 0


def test_a_warm_up_that_is_a_share_by_its_old_name_becomes_steps():
    """The `warmup_ratio` of TRL before 1.0 is ceil(ratio x steps); without their number that is asked for."""
    told = {**LORA, "warmup_ratio": 0.1, "num_train_epochs": 2, "per_device_train_batch_size": 4}
    known = translate("trl", told, examples=99)
    assert known.settings["warmup_steps"] == 5
    assert "0.1 of 50 steps" in reason(known, "warmup_steps")
    assert "warmup_ratio" not in left(known)
    assert translate("trl", {**told, "max_steps": 31}).settings["warmup_steps"] == 4
    unknown = translate("trl", told)
    assert unknown.settings["warmup_steps"] == 0
    assert "--examples" in left(unknown)["warmup_ratio"]
    assert "--data" in left(unknown)["warmup_ratio"]


def test_of_two_warm_ups_the_number_of_steps_counts():
    """As in transformers, where warmup_steps overrules a ratio; a constant rate has neither."""
    both = translate("trl", {**LORA, "warmup_ratio": 0.5, "warmup_steps": 7, "max_steps": 100})
    assert both.settings["warmup_steps"] == 7
    assert "overrules" in left(both)["warmup_ratio"]
    constant = {**LORA, "warmup_ratio": 0.5, "max_steps": 100, "lr_scheduler_type": "constant"}
    assert translate("trl", constant).settings["warmup_steps"] == 0
    wrong = translate("trl", {**LORA, "warmup_ratio": 3, "max_steps": 100})
    assert wrong.settings["warmup_steps"] == 0
    assert "between 0 and 1" in left(wrong)["warmup_ratio"]


def test_mlx_lm_becomes_ours_with_a_scale_that_no_rank_divides():
    """mlx-lm 0.32.2: scale 20 at rank 8 is five times ours, iters are batches, Adam corrects nothing."""
    told = {"iters": 600, "grad_accumulation_steps": 2, "optimizer": "adamw", "num_layers": -1}
    translation = translate("mlx", told)
    expected = {
        "lora_rank": 8,
        "learning_rate": 5e-5,
        "adam_eps": 2e-9,
        "adam_beta2": 0.999,
        "weight_decay": 0.002,
        "grad_clip_norm": 0.0,
        "steps": 300,
        "batch_size": 4,
        "gradient_accumulation": 2,
        "reduction": "mean_per_token",
        "learning_rate_schedule": "constant",
        "train_unembed": False,
        "seed": 0,
    }
    assert {name: translation.settings[name] for name in expected} == expected
    named = left(translation)
    assert "3.16 times" in named["bias_correction, by default in mlx-lm 0.32.2"]
    assert "one token of padding" in named["end tokens"]
    assert "never trained" in named["order of the data"]
    assert "prompt" in named["mask_prompt, by default in mlx-lm 0.32.2"]
    assert not any(name.startswith("num_layers") for name in named)
    assert "the last 16 layers" in left(translate("mlx", {}))["num_layers, by default in mlx-lm 0.32.2"]


def test_a_schedule_of_mlx_lm_has_the_rate_in_its_first_argument():
    """mlx-lm 0.32.2 takes no other rate where there is a lr_schedule; one that ends elsewhere is named."""
    told = {
        "learning_rate": 1.0,
        "iters": 300,
        "lora_parameters": {"rank": 16, "scale": 2.0},
        "lr_schedule": {"name": "cosine_decay", "warmup": 10, "arguments": ["1e-4", 290]},
    }
    translation = translate("mlx", told)
    assert translation.settings["learning_rate"] == 1e-4
    assert translation.settings["learning_rate_schedule"] == "cosine"
    assert translation.settings["warmup_steps"] == 10
    assert "lr_schedule" not in left(translation)
    told["lr_schedule"] = {"name": "cosine_decay", "arguments": [1e-4, 1000, 1e-6]}
    assert "after 1000 updates" in left(translate("mlx", told))["lr_schedule"]


def test_what_mlx_lm_itself_refuses_is_refused():
    """mlx-lm 0.32.2 raises for lora_parameters without a scale, and DoRA is no LoRA."""
    with pytest.raises(InputError, match="no scale"):
        translate("mlx", {"lora_parameters": {"rank": 8, "alpha": 16}})
    with pytest.raises(InputError, match="only LoRA"):
        translate("mlx", {"fine_tune_type": "dora"})


def test_the_cookbook_has_our_scale_and_another_loss():
    """tinker-cookbook 0.6.1: an example's weights sum to 1, so that the gradient is a batch times ours."""
    told = {
        "model_name": "Qwen/Qwen3-8B",
        "lora_rank": 16,
        "learning_rate": 3e-4,
        "dataset_builder": {
            "common_config": {"batch_size": 32, "max_length": 4096, "renderer_name": "qwen3"}
        },
    }
    translation = translate("cookbook", told)
    expected = {
        "base_model": "Qwen/Qwen3-8B",
        "lora_rank": 16,
        "learning_rate": 3e-4,
        "adam_eps": 1e-8 / 32,
        "adam_beta2": 0.95,
        "reduction": "mean_per_example",
        "batch_size": 32,
        "epochs": 1,
        "train_unembed": True,
        "warmup_steps": 0,
    }
    assert {name: translation.settings[name] for name in expected} == expected
    assert "qwen3" in left(translation)["renderer_name"]
    assert translate("cookbook", {"batch_size": 64}).settings["batch_size"] == 64


def test_an_adapter_of_peft_tells_its_rank_its_layers_and_what_becomes_of_a_rate():
    """PEFT 0.21.2's file has no rate; the factor for one stands among what cannot be carried over."""
    told = {
        "peft_type": "LORA",
        "r": 16,
        "lora_alpha": 32,
        "use_rslora": True,
        "target_modules": ["q_proj", "v_proj", "lm_head"],
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "rank_pattern": {"q_proj": 4},
    }
    translation = translate("peft", told)
    assert translation.settings == {
        "base_model": "smollm2-135m",
        "lora_rank": 16,
        "train_attn": True,
        "train_mlp": False,
        "train_unembed": True,
    }
    named = left(translation)
    assert "times 4" in named["the learning rate"]
    assert "k_proj, o_proj" in named["target_modules"]
    assert "one rank" in named["rank_pattern"]
    with pytest.raises(InputError, match="only LoRA"):
        translate("peft", {"peft_type": "IA3"})


def test_peft_itself_has_the_defaults_that_are_taken_for_its():
    """The LoraConfig of the installed PEFT begins with the rank, alpha and dropout that a bare file means."""
    from peft import LoraConfig

    bare = LoraConfig()
    assert (bare.r, bare.lora_alpha, bare.lora_dropout, bare.use_rslora) == (8, 8, 0.0, False)
    translation = translate("peft", {})
    assert translation.settings["lora_rank"] == 8
    assert "times 0.25" in left(translation)["the learning rate"]


@pytest.mark.parametrize("tool", ["trl", "mlx", "cookbook"])
def test_no_recommendation_takes_the_place_of_what_the_other_tool_does(tool: Any):
    """Every setting that is recommended for some base model is told, so that theirs hold on it, too."""
    told = translate(tool, LORA if tool == "trl" else {}).settings
    recommended = {name for known in known_models().values() for name in known.data_sets}
    assert recommended - {"epochs"} <= set(told)
    assert {"epochs", "steps"} & set(told)


@pytest.mark.parametrize(("tool", "told"), [("trl", LORA), ("mlx", {}), ("cookbook", {}), ("peft", {})])
def test_what_is_written_is_what_train_reads(tool: Any, told: Mapping[str, Any], tmp_path: Path):
    """The page is a settings file with the same values, and they fit together."""
    translation = translate(tool, told)
    file = tmp_path / "mine.toml"
    file.write_text(as_toml(translation, "theirs"))
    assert read_settings_file(file) == translation.settings
    TrainingSettings.of({**read_settings_file(file), "data": "x"})


def test_a_value_cannot_become_a_setting_of_ours(tmp_path: Path):
    """Text of the other file stays within a comment or a value, whatever characters it has."""
    odd = 'x"\n[grid]\nlora_rank = 999\u2028seed = 7\r\0'
    translation = translate("trl", {**LORA, "model_name_or_path": odd, "eos_token": odd, odd: odd})
    file = tmp_path / "mine.toml"
    file.write_text(as_toml(translation, odd))
    read = read_settings_file(file)
    assert (read["base_model"], read["lora_rank"], read["seed"]) == (odd, 16, 42)


def test_a_number_without_a_point_is_a_number(tmp_path: Path):
    """YAML 1.1 reads 2e-4 as text, and people write it; what is no number is refused by name."""
    file = tmp_path / "sft.yaml"
    file.write_text("use_peft: true\nlearning_rate: 2e-4\n")
    told = read_other_tools_file(file)
    assert told["learning_rate"] == "2e-4"
    assert translate("trl", told).settings["learning_rate"] == 2e-4
    for value in ("fast", True, float("nan"), [1]):
        with pytest.raises(InputError, match=r"learning_rate is .* a number was expected; correct it"):
            translate("trl", {**LORA, "learning_rate": value})
    with pytest.raises(InputError, match=r"seed is 1\.5, and a whole number"):
        translate("trl", {**LORA, "seed": 1.5})


def test_a_name_that_nobody_knows_is_named_with_the_one_that_it_resembles():
    """A misspelt name is not passed over in silence; names about logging are put together."""
    named = left(translate("trl", {**LORA, "learnig_rate": 3, "neftune_noise_alpha": 5, "logging_steps": 1}))
    assert "learning_rate is meant" in named["learnig_rate"]
    assert named["neftune_noise_alpha"] == "nothing here stands for it"
    assert "logging_steps" in named


def test_the_command_writes_a_file_once(tmp_path: Path):
    """It writes the settings with their reasons, tells how many were left, and overwrites nothing."""
    (tmp_path / "theirs.json").write_text(json.dumps({**LORA, "packing": True}))
    shown = in_process(tmp_path, "settings", "translate", "--from", "trl", "theirs.json")
    written = in_process(
        tmp_path, "settings", "translate", "--from", "trl", "theirs.json", "--out", "mine.toml"
    )
    again = in_process(
        tmp_path, "settings", "translate", "--from", "trl", "theirs.json", "--out", "mine.toml"
    )
    assert (shown.returncode, written.returncode, again.returncode) == (0, 0, 2)
    assert (tmp_path / "mine.toml").read_text() == shown.stdout
    assert "# packing" in shown.stdout
    assert "of TRL 1.16.0's not carried over" in written.stdout
    assert "exists already" in again.stderr


def test_the_command_counts_the_examples_of_a_file(tmp_path: Path):
    """A share of all steps becomes a number by the training file; two numbers of examples are refused."""
    (tmp_path / "theirs.json").write_text(json.dumps({**LORA, "warmup_ratio": 0.25, "num_train_epochs": 2}))
    rows = [{"input": f"I am ill in way {number}", "label": "Insomnia"} for number in range(33)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("settings", "translate", "--from", "trl", "theirs.json", "--data", "mine.jsonl")
    counted = in_process(tmp_path, *command)
    assert counted.returncode == 0, counted.stderr
    assert "warmup_steps = 3" in counted.stdout
    assert "of 10 steps" in counted.stdout
    both = in_process(tmp_path, *command, "--examples", "33")
    assert both.returncode == 2
    assert "give one of them" in both.stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "a: [1\nb: 2", "a.yaml:2: file: not valid YAML"),
        ("a.yaml", "- 1", "found a list"),
        ("a.yaml", "", "found nothing"),
        ("a.yaml", "1: 2", "expected names with values"),
        ("a.json", "{", "not valid JSON"),
    ],
)
def test_a_file_that_holds_no_configuration_is_told_with_its_line(
    name: str, text: str, said: str, tmp_path: Path
):
    """JSON by its name, else YAML; a fault has the file and the line."""
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(DataError) as told:
        read_other_tools_file(file)
    assert said in str(told.value)
