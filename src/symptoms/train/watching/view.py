"""What a training loop tells while it trains, whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from symptoms.runs.step_metrics import StepMetrics


class View(Protocol):
    """Shows training as it happens."""

    def step(self, metrics: StepMetrics) -> None:
        """Show one finished step."""
        ...

    def evaluated(self, step: int, figures: Mapping[str, float], best: bool) -> None:
        """Show an evaluation on the dev data."""
        ...
