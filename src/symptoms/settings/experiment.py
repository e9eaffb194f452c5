"""The settings of the original experiment, and how train_mental_health.py is told others."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from symptoms.errors import InputError

ORIGINAL: Mapping[str, Any] = {
    "base_model": "meta-llama/Llama-3.2-1B",
    "lora_rank": 32,
    "learning_rate": 1e-4,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "adam_eps": 1e-8,
    "epochs": 20,
    "batch_size": 1,
    "seed": 0,
    "learning_rate_schedule": "constant",
}
"""The settings that an experiment's file may name, each as it is where the file does not."""


def read_changes(told: Sequence[str]) -> dict[str, Any]:
    """Settings told as `name=value`, a value as TOML has it or a word; raises InputError for other names."""
    changes: dict[str, Any] = {}
    # The model has an option of its own.
    known = [name for name in ORIGINAL if name != "base_model"]
    for one in told:
        name, _, value = one.partition("=")
        if name not in known:
            raise InputError(f"{name!r} cannot be set; choose one of: {', '.join(known)}.")
        try:
            read = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            read = {"value": value}  # a word without quotes
        changes[name] = read["value"] if len(read) == 1 else value
    return changes
