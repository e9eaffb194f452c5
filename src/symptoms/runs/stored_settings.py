"""The settings of a run, whichever version wrote its config.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from symptoms.errors import RunError
from symptoms.settings import TrainingSettings

OF_AN_EXPERIMENT = {"loss_fn", "test_examples"}
"""What earlier versions noted of an experiment's file, through which such a run went in its order."""


def read_stored(folder: Path, manifest: Mapping[str, Any]) -> tuple[TrainingSettings, tuple[str, ...]]:
    """The settings in the folder's config.json, and the names of those that another version alone knows.

    The latter are left out, as the run has been trained with them whatever they mean. What an earlier
    version did not know is in the manifest, or as it is by default.
    Raises RunError for a file that is not there or damaged.
    """
    found = _config(folder)
    in_order = {"shuffle": False} if found.keys() & OF_AN_EXPERIMENT else {}
    of_manifest = {name: manifest[name] for name in ("data", "base_model", "seed") if name in manifest}
    told = {**of_manifest, **in_order, **found}
    known = {name: value for name, value in told.items() if name in TrainingSettings.model_fields}
    not_understood = told.keys() - known.keys() - OF_AN_EXPERIMENT
    try:
        settings = TrainingSettings.model_validate(known)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
        if "data" in wrong:
            problem = f"{folder} does not tell what it was trained on"
            raise RunError(f"{problem}; restore its files, or choose another run.") from error
        # Those that are left are right one by one, if they do not fit together as this version has it.
        settings = TrainingSettings.model_construct(
            None, **{name: value for name, value in known.items() if name not in wrong}
        )
        not_understood |= wrong
    return settings, tuple(sorted(not_understood))


def stored_as_they_are(folder: Path, names: Collection[str]) -> dict[str, Any]:
    """The values of these settings as config.json has them, whatever they are; raises RunError likewise."""
    return {name: value for name, value in _config(folder).items() if name in names}


def _config(folder: Path) -> dict[str, Any]:
    try:
        found: object = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{folder}/config.json cannot be read; restore it, or choose another run.")
    return cast(dict[str, Any], found)
