"""What transformers 5.23.0 makes of a GGUF file, seen on the installed package, and what we do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from checkpoints_to_export import PROMPT, own_logits, saved_source
from tinker_local.errors import StartupError
from tinker_local.export import general_questions
from tinker_local.export.exporting import export
from tinker_local.loading import load_base_model
from tiny_gguf import tiny_model, write_tiny_gguf

NO_LENGTH = 10**29
"""transformers says 1e30 where it knows no longest text."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))
    write_tiny_gguf(tmp_path / "tiny.gguf", tiny_model(tmp_path / "tiny", "LlamaForCausalLM"))
    return tmp_path / "tiny.gguf"


def test_what_leaves_from_a_gguf_file_can_be_saved_again(file: Path, tmp_path: Path):
    """Transformers neither saves nor converts what it loads from GGUF; an export is an ordinary model."""
    theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    assert theirs.dtype == torch.float32
    with pytest.raises(ValueError, match="not serializable"):
        theirs.save_pretrained(tmp_path / "again")
    with pytest.raises(ValueError, match="not supported for quantized model"):
        theirs.half()
    source = saved_source(file, tmp_path / "home", train_unembed=False)
    questions = general_questions(source.base.tokenizer)
    export(source, "hf", "f16", tmp_path / "out", questions, checked=False)
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert ours.dtype == torch.float16
    ours.float().save_pretrained(tmp_path / "again")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "again", dtype=torch.float32)
    with torch.no_grad():
        logits = saved(torch.tensor([PROMPT])).logits[0]
    torch.testing.assert_close(logits, own_logits(source), atol=0.05, rtol=0.05)


def test_a_tokenizer_that_transformers_took_from_gguf_is_refused_where_it_does_not_fit(
    file: Path, tmp_path: Path
):
    """It adds an end token of GPT-2's that the model does not know; an export has the file's own tokens."""
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    assert tokenizer.model_max_length > NO_LENGTH
    tokenizer.save_pretrained(tmp_path / "tiny")
    with pytest.raises(StartupError, match=r"the token <\|endoftext\|> the id 288, and the model knows 288"):
        load_base_model(str(tmp_path / "tiny"), "float32", torch.device("cpu"))
    source = saved_source(file, tmp_path / "home", train_unembed=False)
    export(source, "hf", None, tmp_path / "out", general_questions(source.base.tokenizer), checked=False)
    ours = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert max(ours.get_vocab().values()) < 288
    assert ours.model_max_length == source.base.model.config.max_position_embeddings
