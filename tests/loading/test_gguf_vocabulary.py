"""What a GGUF file's tokens are taken for, and the tokenizers that are refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tokenizers import Tokenizer

from gguf_vocabularies import BYTES
from tinker_local.errors import StartupError
from tinker_local.loading.gguf_pre_tokenizers import PRE_TOKENIZERS
from tinker_local.loading.gguf_tokenizer import tokenizer_files
from tinker_local.loading.gguf_vocabulary import Kind

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = Kind
BEGIN = 256
"""The id of the bos token, the first behind those of all bytes."""


def files(added: Mapping[str, int], **changes: Any) -> dict[str, str]:
    """Those of a vocabulary of all bytes, a bos token and these; None leaves a key of the tokenizer out."""
    given = {"<s>": CONTROL, **added}
    keys = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": [*sorted(BYTES.alphabet()), *given],
        "token_type": [NORMAL] * 256 + list(given.values()),
        "merges": [],
        "bos_token_id": BEGIN,
        **changes,
    }
    fields = {f"tokenizer.ggml.{key}": value for key, value in keys.items() if value is not None}
    return tokenizer_files(fields, "tiny.gguf")


def encoded(text: str, plain: bool, added: Mapping[str, int], **changes: Any) -> list[str]:
    """The tokens of a text; plain, control tokens in it are read as text."""
    tokenizer = Tokenizer.from_str(files(added, **changes)["tokenizer.json"])
    tokenizer.encode_special_tokens = plain
    return tokenizer.encode(text).tokens


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_a_text_begins_as_the_cut_says_where_the_file_does_not(name: str):
    """Llama 3's texts begin with its bos token, others with none; the file's own word goes before that."""
    by_default = name in ("llama-bpe", "llama3", "llama-v3", "falcon3")
    for said, expected in ((None, by_default), (True, True), (False, False)):
        assert encoded("", False, {}, pre=name, add_bos_token=said) == ["<s>"] * expected
        settings = json.loads(files({}, pre=name, add_bos_token=said)["tokenizer_config.json"])
        assert settings["add_bos_token"] == expected


@pytest.mark.parametrize(
    ("kind", "plain", "found"),
    [
        (CONTROL, False, True),
        (CONTROL, True, False),
        (UNKNOWN, False, True),
        (UNKNOWN, True, False),
        (USER_DEFINED, False, True),
        (USER_DEFINED, True, True),
        (NORMAL, False, False),
        (UNUSED, False, False),
    ],
)
def test_a_token_is_found_in_a_text_by_its_kind(kind: Kind, plain: bool, found: bool):
    """Control and unknown tokens are found where they are asked for, the user's own always, others never."""
    assert ("<x>" in encoded("a<x>b", plain, {"<x>": kind})) == found


@pytest.mark.parametrize("kind", [NORMAL, USER_DEFINED, UNUSED])
@pytest.mark.parametrize(
    "token", ["<|im_end|>", "</s>", "<|fim_prefix|>", "[PAD]", "<reponame>", "<|file_sep|>"]
)
def test_tokens_of_known_names_are_control_tokens(token: str, kind: Kind):
    """llama.cpp takes ends of texts and marks of fill-in-the-middle for control tokens of whatever type."""
    assert encoded(token, False, {token: kind}) == [token]
    assert token not in encoded(token, True, {token: kind})


@pytest.mark.parametrize("key", ["fim_pre_token_id", "prefix_token_id"])
def test_a_mark_that_the_file_names_is_not_looked_for(key: str):
    """Where the file says which token begins the fill-in, a token with such a name stays what it is."""
    added = {"<|fim_prefix|>": USER_DEFINED}
    assert encoded("<|fim_prefix|>", True, added, **{key: BEGIN}) == ["<|fim_prefix|>"]
    assert encoded("<|fim_prefix|>", True, added, **{key: 9999}) != ["<|fim_prefix|>"]


def test_tokens_that_llama_cpp_always_shows_are_no_control_tokens():
    """The channel marks of chats are found in every text, whatever their type."""
    assert encoded("<|message|>", True, {"<|message|>": CONTROL}) == ["<|message|>"]


def test_of_a_merge_given_twice_the_first_counts():
    """A pair keeps its first rank, as in llama.cpp's table."""
    assert encoded("abc", False, {"ab": NORMAL, "bc": NORMAL}, merges=["a b", "b c", "a b"]) == ["ab", "c"]


def test_an_unused_token_has_no_text():
    """Tokens that only fill the table up decode to nothing."""
    tokenizer = Tokenizer.from_str(files({"[PAD257]": UNUSED})["tokenizer.json"])
    assert tokenizer.decode([64, 257, 65], skip_special_tokens=False) == "ab"


ALPHABET = sorted(BYTES.alphabet())
REFUSED: Sequence[tuple[dict[str, int], dict[str, Any], str]] = [
    ({}, {"model": "llama"}, "of the kind 'llama', and only byte-level ones (gpt2)"),
    ({}, {"model": None}, "of the kind None"),
    ({}, {"pre": "tekken"}, "cuts texts as 'tekken', which is not supported (supported: gpt-2, smollm,"),
    ({}, {"pre": None}, "cuts texts as 'None'"),
    ({}, {"tokens": None}, "no tokenizer.ggml.tokens"),
    ({}, {"token_type": None}, "no tokenizer.ggml.token_type"),
    ({}, {"merges": None}, "no tokenizer.ggml.merges"),
    ({}, {"token_type": [1]}, "257 tokens and 1 token types"),
    ({}, {"tokens": [*ALPHABET, "a"]}, "empty or given twice"),
    ({}, {"tokens": [*ALPHABET, ""]}, "empty or given twice"),
    ({"<0x0A>": 6}, {}, "'<0x0A>' of tiny.gguf is of type 6"),
    ({"<x>": 0}, {}, "'<x>' of tiny.gguf is of type 0"),
    ({}, {"merges": ["ab"]}, "the merge 'ab', which is no pair"),
    ({}, {"merges": ["a b c"]}, "the merge 'a b c', which is no pair"),
    ({}, {"merges": ["a b"]}, "merges 'a' and 'b' and has no token 'ab'"),
    ({"ab": NORMAL}, {"merges": ["a b", "ab cd"]}, "has no token 'cd'"),
    ({"ab": UNUSED}, {"merges": ["a b"]}, "has no token 'ab'"),
    ({"a b": NORMAL}, {}, "'a b' of tiny.gguf is not written in the characters of a byte-level"),
    ({"<é>": USER_DEFINED}, {}, "'<é>' of tiny.gguf could be read as bytes"),
    ({"<a": CONTROL, "a>": USER_DEFINED}, {}, "'<a' and 'a>' of tiny.gguf can overlap"),
    ({"<ab>": CONTROL, "ab": USER_DEFINED}, {}, "'<ab>' of tiny.gguf has the token 'ab' inside"),
    ({"<PRE>": NORMAL, "<|prefix|>": NORMAL}, {}, "holds <PRE> and <|prefix|> and does not say which"),
    ({"<|call|>": CONTROL}, {}, "'<|call|>' of a chat format"),
    ({}, {"bos_token_id": None, "add_bos_token": True}, "no tokenizer.ggml.bos_token_id"),
    ({}, {"bos_token_id": 257}, "257 for tokenizer.ggml.bos_token_id and has 257 tokens"),
    ({}, {"eos_token_id": 65}, "'b' for tokenizer.ggml.eos_token_id, which is no control token"),
    ({}, {"padding_token_id": 65}, "'b' for tokenizer.ggml.padding_token_id"),
    ({"<a:b>": CONTROL}, {"bos_token_id": 257}, "'<a:b>' of tiny.gguf has a space or a colon"),
    ({}, {"add_eos_token": True}, "sets tokenizer.ggml.add_eos_token"),
    ({}, {"add_space_prefix": True}, "sets tokenizer.ggml.add_space_prefix"),
    ({}, {"token_type": [UNUSED] + [NORMAL] * 255 + [CONTROL]}, "'!' of tiny.gguf is marked unused"),
    (
        {},
        {"pre": "llama3", "tokens": [*ALPHABET[1:], "<a>", "<s>"]},
        "tiny.gguf lacks tokens for some bytes, which is not supported where texts are cut as 'llama3'",
    ),
    ({"xyz": UNUSED}, {"pre": "llama-bpe"}, "'xyz' of tiny.gguf is marked unused, and texts can hold it"),
]


@pytest.mark.parametrize(("added", "changes", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_would_not_be_exact_is_refused(added: dict[str, int], changes: dict[str, Any], why: str):
    """One sentence names the file and what is wrong with it, and says what to do."""
    with pytest.raises(StartupError, match=re.escape(why)) as refusal:
        files(added, **changes)
    assert re.search(r"tiny\.gguf.*; [a-z' ]+\.$", str(refusal.value))
