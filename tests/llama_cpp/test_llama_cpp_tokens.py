"""Tokens and texts of GGUF tokenizers against llama.cpp's own; run by `make test-llama-cpp`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from gguf_vocabularies import BYTES, CUTS, class_pairs, texts, vocabulary_fields, with_cut, write_vocabulary
from real_models import SMOLLM2, needs_smollm2
from tinker_local.loading.gguf.file import open_gguf
from tinker_local.loading.gguf.pre_tokenizers import PRE_TOKENIZERS
from tinker_local.loading.gguf.tokenizer import tokenizer_files
from tinker_local.loading.gguf.vocabulary import Kind

pytest.importorskip("xllamacpp", reason="make test-llama-cpp installs llama.cpp and runs these tests")
from reference import LlamaCpp

FIELDS = vocabulary_fields()
ASSIGNED = [
    point for point in range(0x110000) if not (0xD800 <= point < 0xE000 or 0x40000 <= point < 0xE0000)
]
"""All code points but surrogates and the planes in which nothing is assigned."""


@dataclass(frozen=True)
class Pair:
    """The same tokenizer here and in llama.cpp."""

    reference: LlamaCpp
    marked: Tokenizer
    plain: Tokenizer

    def check(self, text: str) -> None:
        """Compare the ids of a text, with control tokens that are spelled out read both ways."""
        for tokenizer, parse_special in ((self.marked, True), (self.plain, False)):
            expected = self.reference.encode(text, add_special=True, parse_special=parse_special)
            assert tokenizer.encode(text).ids == expected

    def check_text(self, ids: Sequence[int]) -> None:
        """Compare the text of ids, where they are one."""
        text = self.marked.decode(ids, skip_special_tokens=False)
        if "\ufffd" not in text:
            assert self.reference.decode(ids) == text


def load(file: Path) -> Iterator[Pair]:
    tokenizers = [
        Tokenizer.from_str(tokenizer_files(open_gguf(file).fields, "it")["tokenizer.json"]) for _ in range(2)
    ]
    tokenizers[1].encode_special_tokens = True
    with LlamaCpp(file) as reference:
        yield Pair(reference, *tokenizers)


@pytest.fixture(scope="module", params=sorted(PRE_TOKENIZERS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_vocabulary(file, with_cut(FIELDS, request.param))
    yield from load(file)


@settings(max_examples=300, deadline=None)
@given(text=texts())
def test_tokens_are_those_of_llama_cpp(pair: Pair, text: str):
    """Every text has llama.cpp's tokens, whether control tokens in it are read as such or as plain text."""
    pair.check(text)


@settings(max_examples=100, deadline=None)
@given(ids=st.lists(st.integers(0, len(FIELDS["tokenizer.ggml.tokens"]) - 1), max_size=12))
def test_texts_are_those_of_llama_cpp(pair: Pair, ids: list[int]):
    """Any tokens have llama.cpp's text, unused and control tokens among them."""
    pair.check_text(ids)


@pytest.mark.parametrize("name", CUTS)
def test_every_character_is_of_the_same_class(name: str, tmp_path: Path):
    """Each code point counts as letter, number, blank or symbol as in llama.cpp's tables."""
    pairs = class_pairs(0)
    tokens = [*sorted(BYTES.alphabet()), *map("".join, pairs)]
    fields = {
        "tokenizer.ggml.pre": name,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [Kind.NORMAL] * len(tokens),
        "tokenizer.ggml.merges": [" ".join(each) for each in pairs],
        "tokenizer.ggml.bos_token_id": None,
        "tokenizer.ggml.eos_token_id": None,
        "tokenizer.ggml.add_bos_token": False,
    }
    file = tmp_path / "classes.gguf"
    write_vocabulary(file, fields)
    for pair in load(file):
        for start in range(0, len(ASSIGNED), 200):
            characters = map(chr, ASSIGNED[start : start + 200])
            text = "".join(f"{each}a\n{each}1\n{each}!\n\t{each}\t\n" for each in characters)
            expected = pair.reference.encode(text, add_special=True, parse_special=False)
            assert pair.plain.encode(text).ids == expected, f"from U+{ASSIGNED[start]:04X}"


@pytest.fixture(scope="module")
def smollm2() -> Iterator[Pair]:
    assert SMOLLM2 is not None
    yield from load(SMOLLM2)


@needs_smollm2
@settings(max_examples=1000, deadline=None)
@given(text=texts())
def test_tokens_of_a_real_model_are_those_of_llama_cpp(smollm2: Pair, text: str):
    """SmolLM2's vocabulary, of 49,152 tokens, gives llama.cpp's ids and texts."""
    smollm2.check(text)


@needs_smollm2
@settings(max_examples=300, deadline=None)
@given(ids=st.lists(st.integers(0, 49151), max_size=12))
def test_texts_of_a_real_model_are_those_of_llama_cpp(smollm2: Pair, ids: list[int]):
    """Any of SmolLM2's tokens have llama.cpp's text."""
    smollm2.check_text(ids)
