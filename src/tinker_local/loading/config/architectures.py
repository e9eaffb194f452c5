"""The architectures that are computed here, and what each means by a config.json that leaves settings out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from tinker_local.errors import StartupError
from tinker_local.loading.json_file import shown


@dataclass(frozen=True)
class Architecture:
    """One class of transformers, under the name that `architectures` in a config.json gives it."""

    name: str
    model_type: str
    adds: Mapping[str, bool]
    """What it adds to Llama, as fields of LlamaConfig."""
    defaults: Mapping[str, Any]
    """The settings that are honoured, each with its value where config.json leaves it out."""
    worked_out: frozenset[str]
    """The numbers that null stands for as well: those that follow from others."""


# The defaults are those of the configuration classes of transformers 5.23.0, such as
# models/llama/configuration_llama.py; a test compares them with the installed version's. The base of the
# positions' frequencies stands in rope_settings.py, since a config.json has several places for it.
ARCHITECTURES: Mapping[str, Architecture] = {
    one.name: one
    for one in TypeAdapter(tuple[Architecture, ...]).validate_json(
        files("tinker_local.loading.config").joinpath("architectures.json").read_bytes()
    )
}
"""What is supported, by name."""

_BY_MODEL_TYPE: Mapping[str, Architecture] = {each.model_type: each for each in ARCHITECTURES.values()}


def find_architecture(settings: Mapping[str, Any], folder: Path) -> Architecture:
    """The architecture of a config.json; raises StartupError for one that is not supported.

    transformers goes by `model_type` alone, and older files have only `architectures`; so one of the two is
    enough, and where they disagree the file is refused.
    """
    named, model_type = settings.get("architectures"), settings.get("model_type")
    if not isinstance(named, list | None) or not all(
        isinstance(name, str) for name in cast(list[Any], named or [])
    ):
        raise StartupError(f"{folder}/config.json has a wrong value for architectures; it may be damaged.")
    if not isinstance(model_type, str | None):
        raise StartupError(f"{folder}/config.json has a wrong value for model_type; it may be damaged.")
    names = cast(list[str], named or [])
    for name in names:
        if name not in ARCHITECTURES:
            raise _not_supported(folder, shown(name), settings)
    if model_type is None:
        if not names:
            raise _not_supported(folder, "model without architecture", settings)
        meant = ARCHITECTURES[names[0]]
    elif model_type in _BY_MODEL_TYPE:
        meant = _BY_MODEL_TYPE[model_type]
    elif names:
        raise _disagree(folder, names[0], model_type)
    else:
        raise _not_supported(folder, f"model of type {shown(model_type)}", settings)
    for name in names:
        if name != meant.name:
            raise _disagree(folder, name, model_type or meant.model_type)
    return meant


def _disagree(folder: Path, name: str, model_type: str) -> StartupError:
    return StartupError(
        f"{folder}/config.json names the architecture {name} and the model_type {shown(model_type)}, which "
        "do not belong together; correct the one that is wrong."
    )


def _not_supported(folder: Path, what: str, settings: Mapping[str, Any]) -> StartupError:
    nested = [
        name for name, value in settings.items() if name.endswith("_config") and "model_type" in _keys(value)
    ]
    parts = f" and nests {' and '.join(map(shown, nested))}" if nested else ""
    return StartupError(
        f"{folder} holds a {what}{parts}, which is not supported; supported: {', '.join(ARCHITECTURES)}."
    )


def _keys(value: Any) -> set[str]:
    return set(cast(dict[str, Any], value)) if isinstance(value, dict) else set()
