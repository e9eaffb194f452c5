"""The live view of a training run, its metrics file, and a clean stop on Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from symptoms.service import Service
from symptoms.tokens import TokenizedExample
from symptoms.train.run_directory import RunDirectory, StepMetrics

RECENT_STEPS = 30


class TrainingProgress:
    """Counts steps, writes metrics.jsonl and draws a bar; plain lines where the output is no terminal.

    The first Ctrl-C only sets `interrupted`, so that the step in hand is finished and can be saved; a
    second one ends at once.
    """

    def __init__(self, run: RunDirectory, num_steps: int, service: Service, console: Console) -> None:
        self.interrupted = False
        self.num_steps_done = 0
        self._run = run
        self._num_steps = num_steps
        self._service = service
        self._console = console
        self._recent: list[StepMetrics] = []
        self._last = 0.0
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} tokens/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=num_steps, loss="-", speed="-")

    def step(self, epoch: int, loss: float, learning_rate: float, batch: Sequence[TokenizedExample]) -> None:
        """Record one finished step."""
        now = time.perf_counter()
        self.num_steps_done += 1
        metrics = StepMetrics(
            step=self.num_steps_done,
            epoch=epoch,
            loss=loss,
            learning_rate=learning_rate,
            num_tokens=sum(example.num_tokens for example in batch),
            num_trained_tokens=sum(example.num_trained_tokens for example in batch),
            seconds=round(now - self._last, 6),
        )
        self._last = now
        self._run.append_metrics(metrics)
        self._recent = [*self._recent[1 - RECENT_STEPS :], metrics]
        mean = sum(line.loss for line in self._recent) / len(self._recent)
        speed = sum(line.num_tokens for line in self._recent) / sum(line.seconds for line in self._recent)
        self._bar.update(self._task, advance=1, loss=f"{mean:.3f}", speed=f"{speed:,.0f}")
        if not self._console.is_terminal and (
            self.num_steps_done % RECENT_STEPS == 0 or self.num_steps_done == self._num_steps
        ):
            self._console.print(
                f"step {self.num_steps_done:>4} of {self._num_steps}, epoch {epoch}, "
                f"loss {mean:.3f}, {speed:,.0f} tokens/s",
                highlight=False,
            )

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._interrupt)
        self._bar.start()
        self._last = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        signal.signal(signal.SIGINT, self._previous)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.interrupted or self._service.is_lost:
            raise KeyboardInterrupt
        self.interrupted = True
        self._console.print("\nStopping after this step; press Ctrl-C again to stop at once.")
