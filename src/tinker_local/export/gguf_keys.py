"""The keys of a GGUF file that is written: those of the base's own file, or made of a Hugging Face folder."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tinker_local.engine.model.llama import LlamaConfig
from tinker_local.errors import ExportError, StartupError
from tinker_local.export.source import Source
from tinker_local.loading.chat_template import stored_chat_template
from tinker_local.loading.gguf.file import open_gguf
from tinker_local.loading.gguf.tokenizer import tokenizer_files
from tinker_local.loading.gguf.vocabulary import BYTE_CHARACTERS, Kind
from tinker_local.loading.json_file import read_json

ARCHITECTURES: Mapping[str, str] = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""GGUF's name of an architecture by `model_type`; Mistral's files say llama."""
WRITTEN_ANEW = ("general.architecture", "general.file_type", "general.quantization_version")
PRE_TOKENIZERS = ("gpt-2", "smollm", "llama-bpe", "qwen2")
"""One name for each way to cut texts that llama.cpp knows and `gguf_pre_tokenizers` has."""
PROBES = (
    "Hello World, it's 1234567 o'clock: I'LL WE'RE they've DON'T don't",
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n lead  and   trail   ",
    "3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3",
    "ünïcödé ÄÖÜ ß 你好世界 こんにちは Здравствуй 🚀 (normal) 😶‍🌫️ (multiple) ✅",
    "''''''```````\"\"\"\"......!!!!!!?????? def f(x):\n\treturn x_1 + x2*3\r\n",
    "Nǐ hǎo \uff15\uff16\uff17 ½ ² ⅷ नमस्ते ๑๒๓ a\u0301e\u0301 ﬁ e.g. U.S.A. foo_bar2baz 10:45pm $4.99 #1",
    "camelCase ALLCAPS MixedUPPER lower x'y 'quoted' ''s 'S rock'n'roll \u2019s",
)
"""Texts in which the ways to cut texts differ,"""
SHORT, LONGEST = " \n\ta1'.", 5
"""all texts of these characters up to this length,"""
WIDE = (
    "aZ\u00e9\u0416\u4f60\u0e01\u0301 \n\r\t\u00a0\u3000'\u2019.,!?-_()#$%&*/\"`~^|"
    "0179\u00bd\u0665\u2167\U0001f680\u20ac"
)
RANDOM_TEXTS, RANDOM_LENGTH = 5000, 12
"""and random ones of all kinds of characters."""


def probes() -> list[str]:
    """Texts that tell the ways to cut texts apart, also where a vocabulary has few words for it."""
    short = ("".join(text) for n in range(1, LONGEST + 1) for text in itertools.product(SHORT, repeat=n))
    draw = random.Random(0)
    wide = ("".join(draw.choices(WIDE, k=RANDOM_LENGTH)) for _ in range(RANDOM_TEXTS))
    return [*PROBES, *short, *wide]


def gguf_architecture(source: Source) -> str:
    """The general.architecture of the base."""
    return ARCHITECTURES[source.base.model_type]


def model_keys(source: Source) -> dict[str, Any]:
    """All keys but the architecture and what says how weights are stored.

    Raises ExportError where llama.cpp would not cut texts as the base's tokenizer does.
    """
    if source.gguf is not None:
        fields = open_gguf(source.gguf).fields
        return {
            key: value
            for key, value in fields.items()
            if key not in WRITTEN_ANEW and not key.startswith("split.")
        }
    architecture = gguf_architecture(source)
    return {
        "general.type": "model",
        "general.name": Path(source.info.base_model).name,
        **_shape_keys(architecture, source.base.model.config),
        **_tokenizer_keys(source, architecture),
    }


def _shape_keys(architecture: str, config: LlamaConfig) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": float(config.rope_theta),
        "vocab_size": config.vocab_size,
    }
    if architecture == "llama":
        keys["rope.dimension_count"] = config.head_dim
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        keys |= {"attention.key_length": config.head_dim, "attention.value_length": config.head_dim}
    return {f"{architecture}.{key}": value for key, value in keys.items()}


def _tokenizer_keys(source: Source, architecture: str) -> dict[str, Any]:
    """The tokenizer of a Hugging Face folder as GGUF keeps one; raises ExportError where it has no name."""
    folder = source.base.folder
    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    keys = _vocabulary_keys(stored, source.base.tokenizer, source.base.model.config.vocab_size)
    settings = read_json(folder / "config.json")
    begun = source.base.tokenizer.encode("a").ids
    bare = source.base.tokenizer.encode("a", add_special_tokens=False).ids
    before = begun[: len(begun) - len(bare)]
    if len(before) > 1:
        raise _no_gguf(source, f"begins every text with {len(before)} tokens, and a GGUF file names one")
    begin = before[0] if before else settings.get("bos_token_id")
    if begin is not None:
        keys["tokenizer.ggml.bos_token_id"] = begin
    ends = sorted(source.base.end_tokens)
    named = settings.get("eos_token_id")
    end = named if isinstance(named, int) else next(iter(ends), None)
    if end is not None:
        keys["tokenizer.ggml.eos_token_id"] = end
    others = [token for token in ends if token != end]
    if len(others) > 2:
        raise _no_gguf(source, f"has {len(ends)} end tokens, and a GGUF file names three")
    keys |= {
        f"tokenizer.ggml.{name}_token_id": token for name, token in zip(("eot", "eom"), others, strict=False)
    }
    keys["tokenizer.ggml.add_bos_token"] = bool(before)
    template = stored_chat_template(folder)
    if template is not None:
        keys["tokenizer.chat_template"] = template
    keys["tokenizer.ggml.pre"] = _pre_tokenizer(source, architecture, keys)
    return keys


def _vocabulary_keys(stored: Mapping[str, Any], tokenizer: Tokenizer, vocab_size: int) -> dict[str, Any]:
    model = stored["model"]
    if model["type"] != "BPE" or not BYTE_CHARACTERS & model["vocab"].keys():
        raise ExportError(
            "The base's tokenizer is not a byte-level BPE, and no other kind is written to GGUF here; use "
            "--to hf, and llama.cpp's own convert_hf_to_gguf.py on it."
        )
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = [f"[PAD{index}]" for index in range(vocab_size)]
    kinds = [Kind.UNUSED] * vocab_size
    for token, index in ids.items():
        tokens[index], kinds[index] = token, Kind.NORMAL
    for index, added in tokenizer.get_added_tokens_decoder().items():
        kinds[index] = Kind.CONTROL if added.special else Kind.USER_DEFINED
    # Newer files hold pairs, older ones a text with a space between.
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [kind.value for kind in kinds],
        "tokenizer.ggml.merges": merges,
    }


def _pre_tokenizer(source: Source, architecture: str, keys: Mapping[str, Any]) -> str:
    """The name of the cut with which llama.cpp gives the tokens that the base's tokenizer gives.

    Found by trying: what each name makes of texts is known token for token (`loading/gguf/tokenizer.py`).
    """
    texts = probes()
    own = _tokens(source.base.tokenizer, texts)
    for name in PRE_TOKENIZERS:
        fields = {**keys, "general.architecture": architecture, "tokenizer.ggml.pre": name}
        try:
            files = tokenizer_files(fields, str(source.base.folder))
        except StartupError:
            continue
        candidate = Tokenizer.from_str(files["tokenizer.json"])
        if _tokens(candidate, texts) == own:
            return name
    raise _no_gguf(source, "cuts texts in a way that llama.cpp has no name for")


def _tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    # The bare texts, since what stands before them is told by another key.
    return [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _no_gguf(source: Source, why: str) -> ExportError:
    return ExportError(
        f"The tokenizer of {source.info.base_model} {why}, so this base cannot go to GGUF; use --to hf or "
        "--to peft."
    )
