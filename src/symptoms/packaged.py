"""Tables and word lists of this package, which stand in files beside the modules that read them."""

import json
import tomllib
from importlib.resources import files
from typing import Any


def packaged(package: str | None, name: str) -> Any:
    """What a file of a package holds, JSON or TOML by its ending; `package` is a module's `__package__`."""
    text = files(package or "").joinpath(name).read_text("utf-8")
    return tomllib.loads(text) if name.endswith(".toml") else json.loads(text)


def packaged_words(package: str | None, name: str) -> dict[str, frozenset[str]]:
    """The word lists of a TOML file, each a text of words with blanks between them."""
    return {key: frozenset(words.split()) for key, words in packaged(package, name).items()}
