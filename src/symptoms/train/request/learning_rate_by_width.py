"""A learning rate for models that nobody has searched one for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor, log10

from base_models import ModelShape

FindShape = Callable[[], ModelShape | None]
"""Gives a model's shape, or None where nobody tells it; asked only if the rate depends on it."""

BASE_RATE = 5e-4
"""For an adapter on a model of the width below: ten times what suits training all weights."""
BASE_WIDTH = 2000
EXPONENTS: Mapping[str, float] = {"llama": 0.781, "qwen": 0.0775}


def unknown_shape() -> ModelShape | None:
    """The shape of a model that nobody was asked about."""
    return None


def rate_by_width(shape: ModelShape) -> float | None:
    """Adam's learning rate for a LoRA adapter, to two digits; None for a family without a known exponent.

    `5e-4 * (2000 / hidden_size) ** exponent`, as in tinker-cookbook 0.6.1 (hyperparam_utils.get_lr), whose
    authors fitted the exponents of Llama and Qwen.
    """
    if shape.family is None:
        return None
    rate = BASE_RATE * (BASE_WIDTH / shape.hidden_size) ** EXPONENTS[shape.family]
    return round(rate, 1 - floor(log10(rate)))
