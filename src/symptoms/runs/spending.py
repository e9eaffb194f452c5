"""What a run on hosted Tinker has cost, from its steps and evaluations.

Steps that a resumed run did twice, checkpoints that are stored, and dev texts that were classified are not
counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from symptoms.runs.step_metrics import StepMetrics
from symptoms.service.prices import Price, price_of


def dollars_spent(
    manifest: Mapping[str, Any], metrics: Iterable[StepMetrics], num_evaluations: int
) -> float | None:
    """At the price that the run began with, or else today's; None where neither is known."""
    price = price_of_run(manifest)
    if price is None:
        return None
    num_dev_tokens = num_evaluations * (manifest.get("num_dev_tokens") or 0)
    return price.dollars(sum(line.num_tokens for line in metrics) + num_dev_tokens)


def price_of_run(manifest: Mapping[str, Any]) -> Price | None:
    """The price in a run's manifest; today's for one of an earlier version, that has none."""
    told = manifest.get("price")
    return price_of(manifest["base_model"]) if told is None else Price.model_validate(told)
