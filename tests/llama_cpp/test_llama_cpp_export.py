"""Exports to GGUF, checked by llama.cpp as `tinker-local export` does; run by `make test-llama-cpp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from base_models import BUNDLED_BASE
from checkpoints_to_export import saved_source, with_a_merge
from tinker_local.export import Source, export, general_questions
from tiny_gguf import ARCHITECTURES, tiny_model, write_tiny_gguf
from tiny_models import LLAMA3_ROPE, write_tiny_model

pytest.importorskip("xllamacpp", reason="make test-llama-cpp installs llama.cpp and runs these tests")


@pytest.fixture(autouse=True)
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))


def on_gguf(tmp_path: Path, architecture: str, **changes: Any) -> Source:
    write_tiny_gguf(
        tmp_path / "tiny.gguf", tiny_model(tmp_path / "tiny", architecture, tie_word_embeddings=True)
    )
    return saved_source(tmp_path / "tiny.gguf", tmp_path / "home", **changes)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_merged_file_passes_with_its_head_apart(architecture: str, tmp_path: Path):
    """Tokens, the likeliest next ones and greedy texts, of a tied base with an adapted unembedding."""
    source = on_gguf(tmp_path, architecture)
    done = export(source, "gguf", "f32", tmp_path / "out", general_questions(source.base.tokenizer))
    [found] = done.comparisons
    assert (found.same_tokens, found.same_best, found.same_texts) == (20, 20, 20)
    assert found.apart < 1e-3


def test_an_adapter_file_passes_on_the_file_that_was_the_base(tmp_path: Path):
    """llama.cpp adds it to the base as it reads the base."""
    source = on_gguf(tmp_path, "LlamaForCausalLM", train_unembed=False)
    done = export(source, "gguf-adapter", None, tmp_path / "out", general_questions(source.base.tokenizer))
    [found] = done.comparisons
    assert (found.same_tokens, found.same_best, found.same_texts) == (20, 20, 20)
    assert found.apart < 1e-3


def test_the_bundled_base_passes(tmp_path: Path):
    """In float16, on texts that its own tokenizer cut."""
    source = saved_source(Path(BUNDLED_BASE), tmp_path / "home", rank=1)
    done = export(source, "gguf", "f16", tmp_path / "out", general_questions(source.base.tokenizer))
    assert done.comparisons[0].same_tokens == 20


def test_a_folder_with_scaled_positions_passes(tmp_path: Path):
    """Keys, tokenizer and divisors that were made of a Hugging Face folder."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", vocab_size=288, rope_parameters=LLAMA3_ROPE)
    with_a_merge(tmp_path / "base")
    source = saved_source(tmp_path / "base", tmp_path / "home")
    done = export(source, "gguf", "f32", tmp_path / "out", general_questions(source.base.tokenizer))
    [found] = done.comparisons
    assert (found.same_tokens, found.same_best, found.same_texts) == (20, 20, 20)
    assert found.apart < 1e-3
