"""GGUF files that are written, read back by the loader that tests/llama_cpp holds against llama.cpp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, pre_tokenizers

from base_models import BUNDLED_BASE
from checkpoints_to_export import PROMPT, own_logits, saved_source, with_a_merge
from tinker_local.errors import ExportError
from tinker_local.export import Source, export, general_questions, read_questions
from tinker_local.loading import load_base_model
from tinker_local.loading.gguf.file import open_gguf
from tiny_gguf import ARCHITECTURES, tiny_model, write_tiny_gguf
from tiny_models import LLAMA3_ROPE, write_tiny_model


@pytest.fixture(autouse=True)
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))


def gguf_source(tmp_path: Path, architecture: str = "LlamaForCausalLM", **changes: Any) -> Source:
    """A checkpoint on a GGUF file, tied to its embedding."""
    model = tiny_model(tmp_path / "tiny", architecture, tie_word_embeddings=True)
    write_tiny_gguf(tmp_path / "tiny.gguf", model)
    return saved_source(tmp_path / "tiny.gguf", tmp_path / "home", **changes)


def written(source: Source, form: str, folder: Path, quantize: str | None = None) -> Path:
    """The one GGUF file of an export, not checked."""
    questions = general_questions(source.base.tokenizer)
    done = export(source, form, quantize, folder, questions, checked=False)
    [file] = done.folder.glob("*.gguf")
    return file


def logits_of(file: Path) -> torch.Tensor:
    base = load_base_model(str(file), "float32", torch.device("cpu"))
    with torch.no_grad():
        return base.model.logits(base.model.hidden(torch.tensor([PROMPT])))[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_merged_file_computes_what_base_and_adapter_do(architecture: str, tmp_path: Path):
    """The order of Llama's queries and keys included, and the head apart from the embedding."""
    source = gguf_source(tmp_path, architecture)
    file = written(source, "gguf", tmp_path / "out", "f32")
    assert "output.weight" in open_gguf(file).tensors
    torch.testing.assert_close(logits_of(file), own_logits(source), atol=1e-4, rtol=1e-4)


def test_keys_are_those_of_the_base_file(tmp_path: Path):
    """Tokenizer, sizes and all else; only the type of the weights is another."""
    source = gguf_source(tmp_path, train_unembed=False)
    file = open_gguf(written(source, "gguf", tmp_path / "out", "q8_0"))
    assert source.gguf is not None
    base = dict(open_gguf(source.gguf).fields)
    told = dict(file.fields)
    assert (told.pop("general.file_type"), told.pop("general.quantization_version")) == (7, 2)
    base.pop("general.file_type")
    assert told == base
    assert "output.weight" not in file.tensors


def test_q8_0_is_the_merged_weights_quantised_once(tmp_path: Path):
    """Matrices as the library quantises them, vectors in float32."""
    source = gguf_source(tmp_path, "Qwen2ForCausalLM")
    file = open_gguf(written(source, "gguf", tmp_path / "out", "q8_0"))
    tensor = file.tensors["blk.1.ffn_down.weight"]
    merged = source.merged("model.layers.1.mlp.down_proj.weight").numpy()
    assert tensor.kind.name == "Q8_0"
    assert np.array_equal(tensor.data, gguf.quantize(merged, gguf.GGMLQuantizationType.Q8_0))
    assert file.tensors["blk.1.attn_norm.weight"].kind.name == "F32"


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM", "Qwen3ForCausalLM"])
def test_a_folder_becomes_a_file_with_its_tokenizer(architecture: str, tmp_path: Path):
    """The cut into words is found by trying, and tokens and scores are the folder's."""
    model = write_tiny_model(
        tmp_path / "base", architecture, vocab_size=288, hidden_size=64, intermediate_size=96
    )
    with_a_merge(tmp_path / "base")
    source = saved_source(tmp_path / "base", tmp_path / "home")
    file = written(source, "gguf", tmp_path / "out", "f32")
    loaded = load_base_model(str(file), "float32", torch.device("cpu"))
    assert open_gguf(file).fields["tokenizer.ggml.pre"] == "gpt-2"
    for text in ("he said: it's 1234 o'clock", "ünïcödé \n\n 你好"):
        assert loaded.tokenizer.encode(text).ids == source.base.tokenizer.encode(text).ids
    assert loaded.end_tokens == source.base.end_tokens
    torch.testing.assert_close(logits_of(file), own_logits(source), atol=1e-4, rtol=1e-4)
    assert model.config.vocab_size == loaded.model.config.vocab_size


def test_the_bundled_base_has_a_name_for_its_cut(tmp_path: Path):
    """With its vocabulary, Llama 3's cut gives the tokens that its own gives."""
    source = saved_source(Path(BUNDLED_BASE), tmp_path / "home")
    file = written(source, "gguf", tmp_path / "out")
    assert open_gguf(file).fields["tokenizer.ggml.pre"] == "llama-bpe"
    loaded = load_base_model(str(file), "float32", torch.device("cpu"))
    for text in ("It's 1,234 o'clock.\n\n  I'LL go", "(normal) ünïcödé \t 你好"):
        assert loaded.tokenizer.encode(text).ids == source.base.tokenizer.encode(text).ids


def test_scaled_positions_become_divisors(tmp_path: Path):
    """As GGUF files of Llama 3 have them."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", vocab_size=288, rope_parameters=LLAMA3_ROPE)
    with_a_merge(tmp_path / "base")
    source = saved_source(tmp_path / "base", tmp_path / "home")
    file = written(source, "gguf", tmp_path / "out", "f32")
    torch.testing.assert_close(logits_of(file), own_logits(source), atol=1e-4, rtol=1e-4)


def test_a_tokenizer_without_a_name_is_refused(tmp_path: Path):
    """One that cuts after every letter, so that no merge is ever made; nothing is left behind."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", vocab_size=288)
    with_a_merge(tmp_path / "base")
    file = tmp_path / "base" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    letters = pre_tokenizers.Split(Regex("."), "isolated")
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([letters, words])
    tokenizer.save(str(file))
    source = saved_source(tmp_path / "base", tmp_path / "home")
    with pytest.raises(ExportError, match=r"cuts texts in a way that llama\.cpp has no name for"):
        written(source, "gguf", tmp_path / "out")
    assert not list(tmp_path.glob("out*")) + list(tmp_path.glob(".partial-*"))


def test_an_adapter_file_has_rows_in_the_base_files_order(tmp_path: Path):
    """Alpha, and B of the queries in the order in which the file has the queries' rows."""
    source = gguf_source(tmp_path, train_unembed=False)
    file = open_gguf(written(source, "gguf-adapter", tmp_path / "out"))
    assert file.fields["adapter.lora.alpha"] == 32.0
    assert file.fields["general.type"] == "adapter"
    assert source.gguf is not None
    a = file.tensors["blk.0.attn_q.weight.lora_a"].data.view("<f4")
    b = file.tensors["blk.0.attn_q.weight.lora_b"].data.view("<f4")
    base = open_gguf(source.gguf).tensors["blk.0.attn_q.weight"].data.view("<f4")
    merged = open_gguf(written(source, "gguf", tmp_path / "merged", "f32")).tensors["blk.0.attn_q.weight"]
    np.testing.assert_allclose(base + 8.0 * b @ a, merged.data.view("<f4"), atol=1e-6)


def test_an_adapter_file_with_a_tied_head_is_refused(tmp_path: Path):
    """llama.cpp has no tensor to put it on; a merged file is the next step."""
    with pytest.raises(ExportError, match=r"no tensor to put that on; use --to gguf"):
        written(gguf_source(tmp_path), "gguf-adapter", tmp_path / "out")


def test_an_adapter_file_for_a_folder_is_refused(tmp_path: Path):
    """There is no file that it would belong on."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM")
    source = saved_source(tmp_path / "base", tmp_path / "home")
    with pytest.raises(ExportError, match=r"did not come from a GGUF file.*use --to gguf"):
        written(source, "gguf-adapter", tmp_path / "out")


def test_ollama_is_told_the_prompt_and_the_stop(tmp_path: Path):
    """The Modelfile beside the file; an adapter's names the file that it belongs on."""
    source = gguf_source(tmp_path, train_unembed=False)
    (tmp_path / "asked.json").write_text(
        json.dumps(
            {
                "prompts": ["Symptoms: sad\nAssessment:"],
                "stop": "\n\n",
                "template": "Symptoms: {{ .Prompt }}\nAssessment:",
            }
        )
    )
    questions = read_questions(tmp_path / "asked.json", source.base.tokenizer)
    told = [
        'TEMPLATE """Symptoms: {{ .Prompt }}',
        'Assessment:"""',
        "PARAMETER temperature 0",
        'PARAMETER stop "\\n\\n"',
    ]
    merged = export(source, "gguf", "q8_0", tmp_path / "merged", questions, checked=False)
    assert (merged.folder / "Modelfile").read_text().splitlines() == ["FROM ./model-q8_0.gguf", *told]
    adapter = export(source, "gguf-adapter", None, tmp_path / "adapter", questions, checked=False)
    lines = (adapter.folder / "Modelfile").read_text().splitlines()
    assert lines[1:] == ["FROM ./tiny.gguf", "ADAPTER ./adapter.gguf", *told]


@pytest.mark.parametrize("chats", [False, True])
def test_ollama_keeps_the_chat_template_of_the_file(chats: bool, tmp_path: Path):
    """Where nobody said how a prompt is made; a base without one takes what is typed."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", vocab_size=288)
    with_a_merge(tmp_path / "base")
    if chats:
        (tmp_path / "base" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    source = saved_source(tmp_path / "base", tmp_path / "home")
    questions = general_questions(source.base.tokenizer)
    done = export(source, "gguf", "f32", tmp_path / "out", questions, checked=False)
    fields = open_gguf(done.folder / "model-f32.gguf").fields
    assert ("tokenizer.chat_template" in fields) == chats
    assert ("TEMPLATE" in (done.folder / "Modelfile").read_text()) != chats


@pytest.mark.parametrize("form", ["gguf", "hf", "peft"])
def test_a_type_that_is_not_offered_is_refused_by_name(form: str, tmp_path: Path):
    """Before a base is loaded or anything is written."""
    source = gguf_source(tmp_path)
    with pytest.raises(ExportError, match=r"leave --quantize out" if form == "peft" else "'q4_k_m' is not"):
        written(source, form, tmp_path / "out", "q4_k_m")
