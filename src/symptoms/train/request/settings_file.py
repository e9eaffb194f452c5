"""Settings as they are told: in a TOML file, and beside it as options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from symptoms.errors import DataError, Fault, InputError
from symptoms.settings import TrainingSettings
from symptoms.text_files import line_in_toml, nearest, parse_toml, read_text


def read_settings_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; raises DataError for one that is not TOML and for unknown keys."""
    text, _ = read_text(path)
    settings, known = parse_toml(str(path), text), TrainingSettings.model_fields
    faults = [
        Fault(str(path), line_in_toml(text, key), key, f"unknown key{nearest(key, known)}")
        for key in settings
        if key not in known
    ]
    if faults:
        raise DataError(faults)
    return settings


STEPS_AND_EPOCHS = ("steps", "epochs")
"""Two settings that say the same thing."""


def refuse_steps_with_epochs(told: Mapping[str, Any]) -> None:
    """Raises InputError where both were told, as one of them would count for nothing.

    Settings that were worked out before hold both in any case, and are none of what was told.
    """
    if all(told.get(key) is not None for key in STEPS_AND_EPOCHS):
        raise InputError("steps and epochs say the same thing twice; give one of them.")


def left_beside(told: Collection[str], own: Mapping[str, Any]) -> dict[str, Any]:
    """A file's own settings without its steps or epochs where the other of the two was told over it."""
    replaced = {one for one in STEPS_AND_EPOCHS if one not in told and set(STEPS_AND_EPOCHS) & set(told)}
    return {key: value for key, value in own.items() if key not in replaced}
