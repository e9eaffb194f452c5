"""The keys of a GGUF file that concern its tokenizer: which are known, and values in the right types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from tinker_local.errors import StartupError

Element = TypeVar("Element", str, int)

GGML = "tokenizer.ggml."
_NAMED_TOKENS = (
    "bos", "eos", "eot", "eom", "unknown", "padding", "mask", "cls", "sep", "seperator", "fim_pre", "fim_suf",
    "fim_mid", "fim_pad", "fim_rep", "fim_sep", "prefix", "suffix", "middle",
)  # fmt: skip
"""What a token may be named as by its id; converters misspell the separator."""

_READ = frozenset(
    (
        *(f"{GGML}{name}_token_id" for name in _NAMED_TOKENS),
        *(f"{GGML}{name}" for name in ("model", "pre", "tokens", "token_type", "merges")),
        *(f"{GGML}{name}" for name in ("add_bos_token", "add_eos_token", "add_space_prefix")),
    )
)
_HARMLESS = frozenset(
    (
        # Of other kinds of vocabulary: llama.cpp goes by no scores where there are merges.
        f"{GGML}scores",
        # How many types of texts, not of tokens, a BERT tells apart.
        f"{GGML}token_type_count",
        # The original tokenizer whole, which llama.cpp does not read, and chat templates besides the first.
        "tokenizer.huggingface.json",
        "tokenizer.chat_template",
        "tokenizer.chat_templates",
    )
)
"""Known keys that change no tokens, whatever they say."""
_TEMPLATE = "tokenizer.chat_template."
"""What further templates' keys begin with."""

NEUTRAL: Mapping[str, Sequence[Any]] = {
    f"{GGML}add_sep_token": (False,),
    f"{GGML}escape_whitespaces": (False,),
    f"{GGML}normalizer.lowercase": (False,),
    f"{GGML}precompiled_charsmap": ([],),
    f"{GGML}remove_extra_whitespaces": (False,),
}
"""Keys that would change tokens, with the values that do not. All other keys are refused."""


def require_known_keys(fields: Mapping[str, Any], source: str) -> None:
    """Raise StartupError, which names the key, for one that is not known and would not be honoured."""
    for key, value in fields.items():
        if not key.startswith(("tokenizer.", "adapter.")):
            continue
        known = key in _READ or key in _HARMLESS or key.startswith(_TEMPLATE)
        neutral = NEUTRAL.get(key, ())
        if not known and not any(type(value) is type(each) and value == each for each in neutral):
            raise StartupError(
                f"{source} sets {key!r} to {shown_value(value)}, which is not supported; use the model's "
                "safetensors folder."
            )


def check_named_tokens(fields: Mapping[str, Any], source: str) -> None:
    """Raise StartupError for a token that is named by no id, whether or not it has a part to play here."""
    for name in _NAMED_TOKENS:
        special_token(fields, name, source)


def special_token(fields: Mapping[str, Any], name: str, source: str) -> int | None:
    """The id of a token such as `eos` or `eot`, None where the file names none; raises StartupError.

    The marks of fill-in-the-middle may lie outside the vocabulary: llama.cpp passes those over.
    """
    key = f"{GGML}{name}_token_id"
    token = fields.get(key)
    if token is None:
        return None
    tokens = fields.get(f"{GGML}tokens")
    num_tokens = len(cast(list[Any], tokens)) if isinstance(tokens, list) else 0
    may_be_outside = name.startswith("fim_") or name in ("prefix", "suffix", "middle")
    if type(token) is not int or token < 0 or not (may_be_outside or token < num_tokens):
        raise StartupError(
            f"{source} sets {key} to {shown_value(token)}, and has {num_tokens} tokens; choose another."
        )
    return token


def switch(fields: Mapping[str, Any], name: str, default: bool, source: str) -> bool:
    """A value that is true or false and nothing like it; raises StartupError."""
    value = fields.get(f"{GGML}{name}", default)
    if type(value) is not bool:
        raise _wrong(f"{GGML}{name}", value, source)
    return value


def text(fields: Mapping[str, Any], key: str, source: str) -> str | None:
    """A text, None where the file has none; raises StartupError for anything else."""
    value = fields.get(key)
    if not isinstance(value, str | None):
        raise _wrong(key, value, source)
    return value


def read_list(fields: Mapping[str, Any], name: str, of: type[Element], source: str) -> Sequence[Element]:
    """A list of the tokenizer, all of one type; raises StartupError where there is none."""
    key = f"{GGML}{name}"
    found = fields.get(key)
    if found is None:
        raise StartupError(f"{source} has no {key}; convert it again.")
    if not isinstance(found, list):
        raise _wrong(key, found, source)
    for each in cast(list[Any], found):
        # A bool is an int to Python, and none here.
        if not isinstance(each, of) or type(each) is bool:
            raise StartupError(
                f"{source} has {shown_value(each)} in {key}, which is of a wrong type; convert it again."
            )
    return cast(Sequence[Element], found)


def shown_value(value: Any) -> str:
    """A value as a message shows it; in a damaged file it may be of any length."""
    if isinstance(value, list):
        return "a list"
    return repr(value[:60] if isinstance(value, str) else value)


def _wrong(key: str, value: Any, source: str) -> StartupError:
    return StartupError(
        f"{source} sets {key} to {shown_value(value)}, which is of a wrong type; convert it again."
    )
