"""A folder's tokenizer.json."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from tinker_local.errors import StartupError


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder; raises StartupError where there is none or it is damaged."""
    file = folder / "tokenizer.json"
    if not file.exists():
        raise StartupError(f"{folder} has no tokenizer.json; save the model's fast tokenizer there.")
    try:
        return Tokenizer.from_str(file.read_text(encoding="utf-8"))
    # The library raises a bare Exception for any fault in the file.
    except Exception as error:
        raise StartupError(f"{file} is damaged ({error}); save the tokenizer again.") from error
