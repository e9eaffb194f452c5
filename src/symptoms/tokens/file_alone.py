"""Whether a folder's tokenizer.json is its whole tokenizer, for which nothing has to import transformers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""What transformers 5 and 4 call a tokenizer that is its tokenizer.json and nothing more."""
_MODEL_TYPES = ("llama",)
"""Models of other types may get a class of their own, whatever the folder says."""
_HARMLESS = {"tokenizer_class", "backend", "model_max_length", "is_local", "local_files_only"}
"""Settings that change no token: no text is cut to `model_max_length`."""
_TOKENS = {"bos_token", "eos_token", "unk_token", "pad_token"}
_BESIDE = ("special_tokens_map.json", "added_tokens.json", "tekken.json")
_MOST_TOKENS = 100_000
"""Above it transformers looks whether the pattern that splits a text is one that was once saved wrongly."""


def is_whole_tokenizer(folder: Path) -> bool:
    """Whether transformers would make of this folder what `FileTokenizer` does.

    Source: `AutoTokenizer.from_pretrained` and `TokenizersBackend` of transformers 5. Where this cannot tell,
    it says no, and transformers reads the folder.
    """
    model, settings = (_object(folder / name) for name in ("config.json", "tokenizer_config.json"))
    size = model.get("vocab_size")
    if (
        model.get("model_type") not in _MODEL_TYPES
        or type(size) is not int
        or size > _MOST_TOKENS
        or settings.get("tokenizer_class") not in _CLASSES
        or settings.keys() - _HARMLESS - _TOKENS != {"clean_up_tokenization_spaces"}
        or settings["clean_up_tokenization_spaces"] is not False
        or any((folder / name).exists() for name in _BESIDE)
    ):
        return False
    tokenizer = _object(folder / "tokenizer.json")
    added = _added(tokenizer)
    # Without a post-processor transformers makes one, and a token that is named and not among these it adds.
    return bool(tokenizer.get("post_processor")) and all(
        token is None or token in added for name, token in settings.items() if name in _TOKENS
    )


def _added(tokenizer: Mapping[str, Any]) -> list[object]:
    try:
        return [token["content"] for token in tokenizer["added_tokens"]]
    except (KeyError, TypeError):
        return []


def _object(file: Path) -> dict[str, Any]:
    """What a file of JSON holds; empty where it is missing, damaged or no object."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], content) if isinstance(content, dict) else {}
