"""Merged folders and PEFT's adapters, loaded by transformers and peft themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from checkpoints_to_export import PROMPT, own_logits, saved_source
from tinker_local.export import Source, export, general_questions
from tiny_gguf import tiny_model, write_tiny_gguf
from tiny_models import write_tiny_model

CASES = [
    ("LlamaForCausalLM", True),
    ("LlamaForCausalLM", False),
    ("MistralForCausalLM", False),
    ("Qwen2ForCausalLM", True),
    ("Qwen3ForCausalLM", True),
]


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([PROMPT])).logits[0]


def written(source: Source, form: str, folder: Path, quantize: str | None = None) -> Path:
    """The export, not checked: that is what these tests do."""
    questions = general_questions(source.base.tokenizer)
    return export(source, form, quantize, folder, questions, checked=False).folder


@pytest.mark.parametrize(("architecture", "tied"), CASES)
def test_a_merged_folder_computes_what_base_and_adapter_do(architecture: str, tied: bool, tmp_path: Path):
    """Of every architecture, with an adapted unembedding, whether or not the base shares it."""
    write_tiny_model(tmp_path / "base", architecture, tie_word_embeddings=tied)
    source = saved_source(tmp_path / "base", tmp_path / "home")
    folder = written(source, "hf", tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.testing.assert_close(logits_of(loaded), own_logits(source), atol=1e-4, rtol=1e-4)
    assert (
        AutoTokenizer.from_pretrained(folder).encode("he said") == source.base.tokenizer.encode("he said").ids
    )
    assert loaded.generation_config.eos_token_id == 1


def test_a_base_stays_tied_where_its_head_is_not_adapted(tmp_path: Path):
    """The merged folder is then no larger than the base."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", tie_word_embeddings=True)
    source = saved_source(tmp_path / "base", tmp_path / "home", train_unembed=False)
    folder = written(source, "hf", tmp_path / "out")
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.testing.assert_close(logits_of(loaded), own_logits(source), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_merged_weights_are_stored_in_the_type_that_was_asked_for(kind: str, tmp_path: Path):
    """And are the float32 ones, rounded once."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM")
    source = saved_source(tmp_path / "base", tmp_path / "home")
    loaded = AutoModelForCausalLM.from_pretrained(written(source, "hf", tmp_path / "out", kind), dtype="auto")
    dtype = {"f16": torch.float16, "bf16": torch.bfloat16}[kind]
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, source.merged(name).to(dtype)), name


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_an_adapter_is_right_in_peft_merged_or_not(tied: bool, merge: bool, tmp_path: Path):
    """On a tied base it brings an untied copy: merged into a tied one, it would change the embedding too."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", tie_word_embeddings=tied)
    source = saved_source(tmp_path / "base", tmp_path / "home")
    folder = written(source, "peft", tmp_path / "out")
    assert (folder / "base").exists() == tied
    base = AutoModelForCausalLM.from_pretrained(folder / "base" if tied else tmp_path / "base")
    model = PeftModel.from_pretrained(base, folder)
    model = model.merge_and_unload() if merge else model
    torch.testing.assert_close(logits_of(model), own_logits(source), atol=1e-4, rtol=1e-4)


def test_an_adapter_on_a_gguf_file_brings_its_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No other program gets the file's dequantised weights by its name."""
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))
    write_tiny_gguf(tmp_path / "tiny.gguf", tiny_model(tmp_path / "tiny", "LlamaForCausalLM"))
    source = saved_source(tmp_path / "tiny.gguf", tmp_path / "home", train_unembed=False)
    folder = written(source, "peft", tmp_path / "out")
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "./base"
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    model = PeftModel.from_pretrained(base, folder).merge_and_unload()
    torch.testing.assert_close(logits_of(model), own_logits(source), atol=1e-4, rtol=1e-4)
