"""The tokenizer of a GGUF file as the two files in which Hugging Face's libraries keep one.

What it does with a text is what llama.cpp does with it, token for token; tests/llama_cpp compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, processors

from tinker_local.errors import StartupError
from tinker_local.loading.gguf.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer, build_pre_tokenizer
from tinker_local.loading.gguf.tokenizer_keys import (
    check_named_tokens,
    require_known_keys,
    special_token,
    switch,
    text,
)
from tinker_local.loading.gguf.vocabulary import ADDED, BYTE_CHARACTERS, Kind, Vocabulary, read_vocabulary

_NAMED = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
"""What transformers calls a token, and what the key of its id begins with."""


def tokenizer_files(fields: Mapping[str, Any], source: str) -> dict[str, str]:
    """The texts of tokenizer.json and tokenizer_config.json by file name.

    `fields` is the metadata of a GGUF file by key, as plain Python values; `source` is what messages call the
    file. Raises StartupError for a tokenizer that would not give exactly llama.cpp's tokens.
    """
    words = _find_pre_tokenizer(fields, source)
    require_known_keys(fields, source)
    vocabulary = read_vocabulary(fields, source)
    check_named_tokens(fields, source)
    named = _named_tokens(fields, vocabulary, source)
    add_bos = switch(fields, "add_bos_token", words.add_bos, source)
    if add_bos and "bos_token" not in named:
        raise StartupError(
            f"{source} begins every text with a bos token and has no tokenizer.ggml.bos_token_id; convert "
            "it again."
        )
    if switch(fields, "add_eos_token", False, source):
        raise StartupError(
            f"{source} sets tokenizer.ggml.add_eos_token, which would end every prompt before its answer; "
            "choose another model."
        )
    if switch(fields, "add_space_prefix", False, source):
        raise StartupError(
            f"{source} sets tokenizer.ggml.add_space_prefix, which is not supported with a byte-level "
            "vocabulary; use the model's safetensors folder."
        )
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **named,
        "add_bos_token": add_bos,
        "clean_up_tokenization_spaces": False,
    }
    context = fields.get(f"{fields.get('general.architecture')}.context_length")
    if context is not None:
        settings["model_max_length"] = context
    template = text(fields, "tokenizer.chat_template", source)
    if template is not None:
        settings["chat_template"] = template
    if words.ignore_merges and not vocabulary.ids.keys() >= BYTE_CHARACTERS:
        raise StartupError(
            f"{source} lacks tokens for some bytes, which is not supported where texts are cut as "
            f"{fields['tokenizer.ggml.pre']!r}; use the model's safetensors folder."
        )
    if fields.get("general.architecture") == "qwen2":
        # For this architecture transformers 5 makes a tokenizer of its own, which composes decomposed
        # letters, whatever class is named here; not so where the folder is said to bring a class, which it
        # then skips.
        settings["auto_map"] = {"AutoTokenizer": ["", None]}
    tokenizer = _build(words, vocabulary, named.get("bos_token") if add_bos else None)
    _check_unused(words, vocabulary, tokenizer, source)
    return {
        "tokenizer.json": tokenizer.to_str(),
        "tokenizer_config.json": json.dumps(settings, ensure_ascii=False, indent=2),
    }


def _find_pre_tokenizer(fields: Mapping[str, Any], source: str) -> PreTokenizer:
    model = fields.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise StartupError(
            f"The tokenizer of {source} is of the kind {model!r}, and only byte-level ones (gpt2) are "
            "supported; use the model's safetensors folder."
        )
    name = str(text(fields, "tokenizer.ggml.pre", source))
    if name not in PRE_TOKENIZERS:
        raise StartupError(
            f"The tokenizer of {source} cuts texts as {name!r}, which is not supported (supported: "
            f"{', '.join(PRE_TOKENIZERS)}); use the model's safetensors folder."
        )
    # llama.cpp drops the spaces after a special token of a model whose name has one of these in it.
    for part in ("phi-3", "phi3", "modern-bert"):
        if part in str(fields.get("general.name", "")).lower():
            raise StartupError(
                f"{source} is called {fields['general.name']!r}, and special tokens of such models are not "
                "supported; use the model's safetensors folder."
            )
    return PRE_TOKENIZERS[name]


def _named_tokens(fields: Mapping[str, Any], vocabulary: Vocabulary, source: str) -> dict[str, str]:
    """The tokens with a part to play, by what transformers calls them. It makes each of them special."""
    named: dict[str, str] = {}
    for name, part in _NAMED.items():
        index = special_token(fields, part, source)
        if index is None:
            continue
        token = vocabulary.tokens[index]
        if vocabulary.kinds[index] not in (Kind.CONTROL, Kind.UNKNOWN):
            raise StartupError(
                f"{source} names {token!r} for tokenizer.ggml.{part}_token_id, which is no control "
                "token; convert it again."
            )
        named[name] = token
    # The template of a text's beginning is written in words with colons.
    if set(named.get("bos_token", "")) & {" ", ":"}:
        raise StartupError(
            f"The bos token {named['bos_token']!r} of {source} has a space or a colon in it, which is not "
            "supported; use the model's safetensors folder."
        )
    return named


def _build(words: PreTokenizer, vocabulary: Vocabulary, bos: str | None) -> Tokenizer:
    ids = vocabulary.ids
    tokenizer = Tokenizer(
        models.BPE(vocab=ids, merges=list(vocabulary.merges), ignore_merges=words.ignore_merges)
    )
    tokenizer.pre_tokenizer = build_pre_tokenizer(words, "".join(sorted(BYTE_CHARACTERS - ids.keys())))
    tokenizer.decoder = decoders.ByteLevel()
    shown = set(vocabulary.of_kind(Kind.USER_DEFINED))
    tokenizer.add_tokens(
        [
            AddedToken(token, special=token not in shown, normalized=False)
            for token in vocabulary.of_kind(*ADDED)
        ]
    )
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos}:0 $A:0", pair=f"{bos}:0 $A:0 {bos}:1 $B:1", special_tokens=[(bos, ids[bos])]
        )
    return tokenizer


def _check_unused(words: PreTokenizer, vocabulary: Vocabulary, tokenizer: Tokenizer, source: str) -> None:
    """Refuse an unused token that llama.cpp would give for a text, though it writes it as nothing."""
    cut = tokenizer.pre_tokenizer
    assert cut is not None
    for token in vocabulary.of_kind(Kind.UNUSED):
        whole = BYTE_CHARACTERS.issuperset(token) and (
            not token.isascii() or len(cut.pre_tokenize_str(token)) == 1
        )
        if token in BYTE_CHARACTERS or (words.ignore_merges and whole):
            raise StartupError(
                f"The token {token!r} of {source} is marked unused, and texts can hold it; convert it again."
            )
