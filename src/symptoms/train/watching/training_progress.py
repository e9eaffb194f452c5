"""What the flat script reports to while it trains: the live view, metrics.jsonl, and Ctrl-C."""

import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console

from symptoms.runs.directory import RunDirectory
from symptoms.runs.step_metrics import StepMetrics
from symptoms.service import Service
from symptoms.tokens import TokenizedExample
from symptoms.train.watching.interruption import Interruption
from symptoms.train.watching.live_view import LiveView


class TrainingProgress:
    """Counts steps, writes metrics.jsonl and shows how it goes.

    The first Ctrl-C only sets `interrupted`, so that the step in hand is finished and can be saved; a
    second one ends at once.
    """

    def __init__(self, run: RunDirectory, num_steps: int, service: Service, console: Console) -> None:
        self.num_steps_done = 0
        self._run = run
        self._view = LiveView(console, num_steps)
        self._interruption = Interruption(service, console)
        self._last = 0.0

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed once, so that training is to end after the step in hand."""
        return self._interruption.wanted

    def step(self, epoch: int, loss: float, learning_rate: float, batch: Sequence[TokenizedExample]) -> None:
        """Record one finished step."""
        now = time.perf_counter()
        self.num_steps_done += 1
        metrics = StepMetrics.of(self.num_steps_done, epoch, loss, learning_rate, batch, now - self._last)
        self._last = now
        self._run.append_metrics(metrics)
        self._view.step(metrics)

    def __enter__(self) -> Self:
        self._interruption.__enter__()
        self._view.__enter__()
        self._last = time.perf_counter()
        return self

    def __exit__(self, *ended: object) -> None:
        self._view.__exit__(*ended)
        self._interruption.__exit__(*ended)
