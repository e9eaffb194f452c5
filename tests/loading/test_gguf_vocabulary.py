"""What a GGUF file's tokens are taken for, and the tokenizers that are refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from gguf_vocabularies import BYTES
from tinker_local.errors import StartupError
from tinker_local.loading.gguf.pre_tokenizers import PRE_TOKENIZERS
from tinker_local.loading.gguf.tokenizer import tokenizer_files
from tinker_local.loading.gguf.vocabulary import Kind

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
    ({}, {"bos_token_id": 257}, "sets tokenizer.ggml.bos_token_id to 257, and has 257 tokens"),
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
    ({}, {"merges": [1, 2]}, "has 1 in tokenizer.ggml.merges, which is of a wrong type"),
    ({}, {"merges": "a b"}, "sets tokenizer.ggml.merges to 'a b', which is of a wrong type"),
    ({}, {"tokens": [1, 2]}, "has 1 in tokenizer.ggml.tokens, which is of a wrong type"),
    ({}, {"token_type": [1.0] * 257}, "has 1.0 in tokenizer.ggml.token_type, which is of a wrong type"),
    ({}, {"token_type": [True] * 257}, "has True in tokenizer.ggml.token_type"),
    ({}, {"padding_token_id": "x"}, "sets tokenizer.ggml.padding_token_id to 'x', and has 257 tokens"),
    ({}, {"unknown_token_id": True}, "sets tokenizer.ggml.unknown_token_id to True"),
    ({}, {"mask_token_id": 256.0}, "sets tokenizer.ggml.mask_token_id to 256.0"),
    ({}, {"fim_pre_token_id": "x"}, "sets tokenizer.ggml.fim_pre_token_id to 'x'"),
    ({}, {"add_bos_token": "false"}, "sets tokenizer.ggml.add_bos_token to 'false', which is of a wrong"),
    ({}, {"add_eos_token": 0}, "sets tokenizer.ggml.add_eos_token to 0, which is of a wrong type"),
    ({}, {"pre": ["gpt-2"]}, "sets tokenizer.ggml.pre to a list, which is of a wrong type"),
    ({}, {"add_sep_token": True}, "sets 'tokenizer.ggml.add_sep_token' to True, which is not supported"),
    ({}, {"normalizer.lowercase": True}, "sets 'tokenizer.ggml.normalizer.lowercase' to True"),
    ({}, {"ignore_merges": True}, "sets 'tokenizer.ggml.ignore_merges' to True"),
    ({}, {"remove_extra_whitespaces": True}, "sets 'tokenizer.ggml.remove_extra_whitespaces' to True"),
    ({}, {"escape_whitespaces": True}, "sets 'tokenizer.ggml.escape_whitespaces' to True"),
    ({}, {"precompiled_charsmap": [1]}, "sets 'tokenizer.ggml.precompiled_charsmap' to a list"),
    ({}, {"not_known": 0}, "sets 'tokenizer.ggml.not_known' to 0, which is not supported"),
    ({"xyz": UNUSED}, {"pre": "llama-bpe"}, "'xyz' of tiny.gguf is marked unused, and texts can hold it"),
]


@pytest.mark.parametrize(("added", "changes", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_would_not_be_exact_is_refused(added: dict[str, int], changes: dict[str, Any], why: str):
    """One sentence names the file and what is wrong with it, and says what to do."""
    with pytest.raises(StartupError, match=re.escape(why)) as refusal:
        files(added, **changes)
    assert re.search(r"tiny\.gguf.*; [a-z' ]+\.$", str(refusal.value))


@pytest.mark.parametrize("key", ["adapter.type", "tokenizer.rwkv.world"])
def test_keys_of_other_kinds_of_files(key: str):
    """Keys outside those of the vocabulary are named as well."""
    with pytest.raises(StartupError, match=f"tiny.gguf sets '{key}' to 'x', which is not supported"):
        tokenizer_files(
            {key: "x", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2"}, "tiny.gguf"
        )


def test_keys_that_released_files_carry():
    """Named tokens, templates, scores and switches that are off change no token."""
    names = ("eot", "eom", "unknown", "padding", "mask", "cls", "sep", "seperator", "fim_pre", "fim_rep")
    off = ("add_space_prefix", "add_eos_token", "add_sep_token", "remove_extra_whitespaces")
    carried = {f"{name}_token_id": BEGIN for name in names} | dict.fromkeys(off, False)
    assert files({}, **carried, scores=[0.0] * 257, token_type_count=1, precompiled_charsmap=[])
    templates = {
        "tokenizer.chat_template": "x",
        "tokenizer.chat_templates": ["tool_use"],
        "tokenizer.chat_template.tool_use": "y",
        "tokenizer.huggingface.json": "{}",
    }
    assert tokenizer_files({**FIELDS, **templates}, "tiny.gguf")


def test_a_template_that_is_no_text():
    """A chat template of another type is a wrong value."""
    with pytest.raises(StartupError, match=r"sets tokenizer\.chat_template to 5, which is of a wrong type"):
        tokenizer_files({**FIELDS, "tokenizer.chat_template": 5}, "tiny.gguf")


FIELDS: dict[str, Any] = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": [*ALPHABET, "<s>"],
    "tokenizer.ggml.token_type": [1] * 256 + [3],
    "tokenizer.ggml.merges": [],
    "tokenizer.ggml.bos_token_id": BEGIN,
}
KEYS = [
    *FIELDS,
    *(
        f"tokenizer.ggml.{name}_token_id"
        for name in ("eos", "eot", "padding", "unknown", "fim_pre", "suffix")
    ),
    *(f"tokenizer.ggml.{name}" for name in ("add_bos_token", "add_eos_token", "add_space_prefix", "scores")),
    "tokenizer.chat_template",
]
SCALARS = st.booleans() | st.integers(-2, 300) | st.floats() | st.sampled_from(["", "a", "a b", "<s>"])


@given(st.dictionaries(st.sampled_from(KEYS), SCALARS | st.lists(SCALARS, max_size=3), max_size=3))
def test_any_type_of_value_is_read_or_refused(changes: dict[str, Any]):
    """Whatever a file has for a key, it ends in one sentence or in a tokenizer that can be loaded."""
    try:
        made = tokenizer_files({**FIELDS, **changes}, "tiny.gguf")
    except StartupError as error:
        assert "tiny.gguf" in str(error)
        assert "\n" not in str(error)
    else:
        assert Tokenizer.from_str(made["tokenizer.json"]).encode("a").ids
        settings = json.loads(made["tokenizer_config.json"])
        assert type(settings["add_bos_token"]) is bool
        assert all(isinstance(value, str) for key, value in settings.items() if key.endswith("template"))
