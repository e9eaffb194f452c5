"""The tokenizer of a GGUF file against ids that llama.cpp gave, and against what transformers loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from gguf_vocabularies import CUTS, MISSING, texts, with_cut
from real_models import SMOLLM2, needs_smollm2
from tinker_local.loading.gguf.file import open_gguf
from tinker_local.loading.gguf.pre_tokenizers import PRE_TOKENIZERS
from tinker_local.loading.gguf.tokenizer import tokenizer_files

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "llama_cpp_tokens.json").read_text())
"""What llama.cpp makes of texts and of tokens; `make record-llama-cpp-tokens` writes it."""
FIELDS: dict[str, Any] = {
    **RECORDED["fields"],
    "tokenizer.chat_template": "{% if messages %}\n  'ä' \"{{ bos_token }}\"{% endif %}",
}
TEXTS = [row["text"] for row in RECORDED["encoded"]]


def load(fields: Mapping[str, Any], plain: bool = False) -> Tokenizer:
    """The tokenizer of such keys; plain, control tokens in a text are read as text."""
    tokenizer = Tokenizer.from_str(tokenizer_files(fields, "tiny.gguf")["tokenizer.json"])
    tokenizer.encode_special_tokens = plain
    return tokenizer


Loaded = tuple[str, PreTrainedTokenizerFast]
LOADED = {(name, plain): load(with_cut(FIELDS, name), plain) for name in CUTS for plain in (False, True)}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", CUTS)
def test_tokens_are_those_that_llama_cpp_gave(name: str, plain: bool):
    """Each recorded text has llama.cpp's ids, whether control tokens in it count or not."""
    for row in RECORDED["encoded"]:
        assert LOADED[name, plain].encode(row["text"]).ids == row[name][plain], row["text"]


@needs_smollm2
@pytest.mark.parametrize("plain", [False, True])
def test_tokens_of_a_real_model_are_those_that_llama_cpp_gave(plain: bool):
    """Each recorded text has llama.cpp's ids in SmolLM2's vocabulary."""
    assert SMOLLM2 is not None
    tokenizer = load(open_gguf(SMOLLM2).fields, plain)
    for row in RECORDED["encoded"]:
        assert tokenizer.encode(row["text"]).ids == row["smollm2"][plain], row["text"]


def test_texts_are_those_that_llama_cpp_gave():
    """Recorded ids have llama.cpp's text, unused tokens none, and added ones their own."""
    tokenizer = load({**FIELDS, "tokenizer.ggml.pre": "gpt-2"})
    for ids, text in RECORDED["decoded"]:
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", CUTS)
@given(text=texts())
def test_every_text_comes_back(name: str, plain: bool, text: str):
    """Decoding what a text was encoded to gives the text, but for characters of bytes without a token."""
    assume(not any("\U00040000" <= each < "\U00080000" for each in text))
    ids = LOADED[name, plain].encode(text, add_special_tokens=False).ids
    if not PRE_TOKENIZERS[name].ignore_merges:
        text = "".join(each for each in text if each not in MISSING)
    assert LOADED[name, False].decode(ids, skip_special_tokens=False) == text


MODEL_TYPES = [("llama", name) for name in CUTS] + [
    ("qwen2", "qwen2"),
    ("qwen3", "qwen2"),
    ("mistral", "llama-bpe"),
]


@pytest.fixture(scope="module", params=MODEL_TYPES, ids=" ".join)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    model_type, name = request.param
    folder = tmp_path_factory.mktemp("tokenizer")
    # What transformers calls mistral is a llama to llama.cpp.
    architecture = "llama" if model_type == "mistral" else model_type
    fields = {**with_cut(FIELDS, name), "general.architecture": architecture}
    made = tokenizer_files({**fields, f"{architecture}.context_length": 512}, "tiny.gguf")
    for file, text in made.items():
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return name, AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_transformers_gives_the_same_tokens(loaded: Loaded, plain: bool, whole: bool):
    """The folder means the same to AutoTokenizer, in every way of encoding and decoding."""
    name, reference = loaded
    ours = LOADED[name, plain]
    for text in TEXTS:
        ids = ours.encode(text, add_special_tokens=whole).ids
        assert reference.encode(text, add_special_tokens=whole, split_special_tokens=plain) == ids
        for skip in (False, True):
            assert reference.decode(ids, skip_special_tokens=skip) == ours.decode(
                ids, skip_special_tokens=skip
            )


def test_transformers_knows_the_named_tokens_and_the_template(loaded: Loaded):
    """Named tokens, the context and the chat template are those of the file, the template to the letter."""
    _, reference = loaded
    assert (reference.bos_token, reference.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert reference.pad_token is None
    assert reference.clean_up_tokenization_spaces is False
    assert reference.model_max_length == 512
    assert reference.chat_template == FIELDS["tokenizer.chat_template"]
