"""A folder's tokenizer.json is read alone only where transformers would make the same tokenizer of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from symptoms.service.model_folder import tokenizer_says_all
from symptoms.tokens import FileTokenizer, is_whole_tokenizer
from tiny_models import BEGIN, END

TEXT = st.lists(st.one_of(st.text(max_size=30), st.sampled_from([BEGIN, END, "\n\n", "I feel"]))).map("".join)
CONFIG, SIDE, MAIN = "config.json", "tokenizer_config.json", "tokenizer.json"


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """What belongs to a tokenizer, as transformers 5 saves it beside a Llama."""
    for name in (CONFIG, SIDE, MAIN):
        (tmp_path / name).write_bytes((tiny_model / name).read_bytes())
    return tmp_path


def change(file: Path, **parts: Any) -> None:
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**before, **parts}))


@pytest.fixture(scope="module")
def both(tiny_model: Path) -> tuple[FileTokenizer, Any]:
    return FileTokenizer(tiny_model), AutoTokenizer.from_pretrained(tiny_model)


@given(TEXT, st.booleans(), st.booleans(), st.lists(st.integers(0, 257), max_size=40))
def test_it_is_the_tokenizer_of_transformers(
    both: tuple[FileTokenizer, Any], text: str, special: bool, split: bool, tokens: list[int]
):
    """Any text becomes the same tokens, spelled-out control tokens included, and any tokens the same text."""
    ours, theirs = both
    settings = {"add_special_tokens": special, "split_special_tokens": split}
    assert ours.encode(text, **settings) == theirs.encode(text, **settings)
    assert ours.decode(tokens, skip_special_tokens=special) == theirs.decode(
        tokens, skip_special_tokens=special
    )


@pytest.mark.parametrize("name", ["TokenizersBackend", "PreTrainedTokenizerFast"])
def test_a_folder_of_a_file_alone(name: str, folder: Path):
    """Under the names of transformers 5 and 4, and with a token that is named and is none."""
    change(folder / SIDE, tokenizer_class=name, pad_token=None)
    assert is_whole_tokenizer(folder)
    assert tokenizer_says_all(folder)
    assert type(AutoTokenizer.from_pretrained(folder)).__name__ == "TokenizersBackend"


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        (CONFIG, {"model_type": "qwen2"}),
        (CONFIG, {"vocab_size": 100_001}),
        (CONFIG, {"vocab_size": None}),
        (SIDE, {"tokenizer_class": "LlamaTokenizer"}),
        (SIDE, {"tokenizer_class": None}),
        (SIDE, {"clean_up_tokenization_spaces": True}),
        (SIDE, {"extra_special_tokens": ["a"]}),
        (SIDE, {"split_special_tokens": True}),
        (SIDE, {"eos_token": "a"}),
        (SIDE, {"eos_token": {"content": END}}),
        (MAIN, {"post_processor": None}),
        (MAIN, {"added_tokens": None}),
        ("special_tokens_map.json", {"unk_token": "a"}),
        ("added_tokens.json", {END: 1}),
        ("tekken.json", {}),
    ],
)
def test_what_another_file_may_change(file: str, parts: dict[str, Any], folder: Path):
    """What transformers goes by beside the file, or treats in its own way, is left to it."""
    change(folder / file, **parts)
    assert not is_whole_tokenizer(folder)


@pytest.mark.parametrize("file", [CONFIG, SIDE, MAIN])
@pytest.mark.parametrize("content", [None, "[]", "{"])
def test_a_file_that_cannot_be_read(file: str, content: str | None, folder: Path):
    """One that is missing, no object or damaged says nothing."""
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    assert not is_whole_tokenizer(folder)


@pytest.mark.parametrize(
    ("file", "parts"),
    [(SIDE, {"eos_token": "a"}), (SIDE, {"extra_special_tokens": ["a"]})],
)
def test_it_would_not_be_the_same(file: str, parts: dict[str, Any], folder: Path):
    """With such a folder transformers really has other tokens than the file alone."""
    change(folder / file, **parts)
    ours, theirs = FileTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    asked = {"add_special_tokens": True, "split_special_tokens": False}
    text, tokens = "a man", [END, "a"]
    ids = theirs.convert_tokens_to_ids(tokens)
    assert ours.encode(text, **asked) != theirs.encode(text, **asked) or ours.decode(
        ids, skip_special_tokens=True
    ) != theirs.decode(ids, skip_special_tokens=True)
