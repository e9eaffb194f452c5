"""The tokenizer of a GGUF file as the two files in which Hugging Face's libraries keep one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from tinker_local.errors import StartupError
from tinker_local.loading.gguf_pre_tokenizers import PRE_TOKENIZERS, build_pre_tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
BYTES_OF_UTF8 = frozenset([*range(0xC0), *range(0xC2, 0xF5)])


def tokenizer_files(fields: Mapping[str, Any], source: str) -> dict[str, str]:
    """The texts of tokenizer.json and tokenizer_config.json by file name.

    `fields` is the metadata of a GGUF file by key, as plain Python values; `source` is what messages call the
    file. Raises StartupError for a tokenizer that would not give llama.cpp's tokens exactly.
    """
    model = fields.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise StartupError(
            f"The tokenizer of {source} is of kind {model!r}, and only byte-level ones (gpt2) are read; "
            "use the model's safetensors folder."
        )
    name = fields.get("tokenizer.ggml.pre")
    if name not in PRE_TOKENIZERS:
        raise StartupError(
            f"The tokenizer of {source} cuts words as {name!r}, which is not supported; supported: "
            f"{', '.join(PRE_TOKENIZERS)}."
        )
    words = PRE_TOKENIZERS[name]
    tokens: Sequence[str] = fields["tokenizer.ggml.tokens"]
    types: Sequence[int] = fields["tokenizer.ggml.token_type"]
    add_bos = bool(fields.get("tokenizer.ggml.add_bos_token", words.add_bos))
    vocabulary = {
        token: index for index, (token, kind) in enumerate(zip(tokens, types, strict=True)) if kind != UNUSED
    }
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=words.ignore_merges))
    alphabet = {c for c in pre_tokenizers.ByteLevel.alphabet()}
    missing = "".join(sorted(alphabet - vocabulary.keys()))
    tokenizer.pre_tokenizer = build_pre_tokenizer(words, missing)
    tokenizer.decoder = decoders.ByteLevel()
    special = {
        key: fields.get(f"tokenizer.ggml.{part}_token_id")
        for key, part in (
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("pad_token", "padding"),
            ("unk_token", "unknown"),
        )
    }
    named = {key: tokens[index] for key, index in special.items() if index is not None}
    if add_bos:
        bos = named["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[bos, "$A"],
            pair=[bos, "$A", f"{bos}:1", "$B:1"],
            special_tokens=[(bos, special["bos_token"])],
        )
    tokenizer.add_tokens(
        [
            AddedToken(token, special=kind != USER_DEFINED, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind in (UNKNOWN, CONTROL, USER_DEFINED)
        ]
    )
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **named,
        "add_bos_token": add_bos,
        "clean_up_tokenization_spaces": False,
        "model_max_length": fields[f"{fields['general.architecture']}.context_length"],
    }
    if "tokenizer.chat_template" in fields:
        settings["chat_template"] = fields["tokenizer.chat_template"]
    return {
        "tokenizer.json": tokenizer.to_str(),
        "tokenizer_config.json": json.dumps(settings, ensure_ascii=False, indent=2),
    }
