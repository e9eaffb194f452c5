"""The bundled base's tokenizer, read without transformers, is the one that the SDK would load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from symptoms.tokens import FileTokenizer

FOLDER = Path(__file__).parents[2] / "src" / "base_models" / "bundled" / "symptoms-base"
REFERENCE = AutoTokenizer.from_pretrained(FOLDER)
TOKENIZER = FileTokenizer(FOLDER)
TEXT = st.lists(
    st.one_of(
        st.text(max_size=30), st.sampled_from(["<|begin_of_text|>", "<|end_of_text|>", "\n\n", "I feel"])
    )
).map("".join)


@given(TEXT, st.booleans(), st.booleans())
def test_token_ids_are_those_of_transformers(text: str, special: bool, split: bool):
    """Any text, control tokens spelled out in it included, becomes the same tokens."""
    settings = {"add_special_tokens": special, "split_special_tokens": split}
    assert TOKENIZER.encode(text, **settings) == REFERENCE.encode(text, **settings)


@given(st.lists(st.integers(0, REFERENCE.vocab_size - 1), max_size=40), st.booleans())
def test_text_is_that_of_transformers(tokens: list[int], skip: bool):
    """Any tokens become the same text."""
    assert TOKENIZER.decode(tokens, skip_special_tokens=skip) == REFERENCE.decode(
        tokens, skip_special_tokens=skip
    )


def test_a_folder_without_tokenizer_is_told(tmp_path: Path):
    """What is not there is an OSError, as from the SDK."""
    with pytest.raises(OSError, match=r"tokenizer\.json"):
        FileTokenizer(tmp_path)


def test_a_local_run_does_without_transformers(tmp_path: Path):
    """A client of the bundled base gets its tokenizer before and after training, with no import of it."""
    program = """
import sys
from symptoms.service import connect

with connect("local", "symptoms-base") as service:
    training = service.client.create_lora_training_client(base_model=service.base_model, rank=1).result()
    path = training.save_weights_for_sampler("one").result().path
    for model in (training, service.client.create_sampling_client(model_path=path).result()):
        tokenizer = service.tokenizer(model)
        assert tokenizer.encode("I", add_special_tokens=True, split_special_tokens=True)[0] == 0
assert "transformers" not in sys.modules
"""
    environment = {"TINKER_LOCAL_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
