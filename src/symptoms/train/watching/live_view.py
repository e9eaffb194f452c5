"""Training as it happens: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from symptoms.runs.step_metrics import StepMetrics

RECENT_STEPS = 30
BARS = "▁▂▃▄▅▆▇█"


class LiveView:
    """Progress, the curve of the loss, dev metrics, tokens per second and the time that is left."""

    def __init__(self, console: Console, num_steps: int, earlier: Sequence[StepMetrics] = ()) -> None:
        """`earlier` are the steps of a resumed run that were done before."""
        self._console = console
        self._num_steps = num_steps
        self._losses = [line.loss for line in earlier]
        self._recent: list[StepMetrics] = []
        self._dev = ""
        self._bar = Progress(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        )
        self._task = self._bar.add_task("training", total=num_steps, completed=len(earlier), left="")
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def step(self, metrics: StepMetrics) -> None:
        """Show one finished step."""
        self._losses.append(metrics.loss)
        self._recent = [*self._recent[1 - RECENT_STEPS :], metrics]
        seconds = sum(line.seconds for line in self._recent) / len(self._recent)
        left = duration(seconds * (self._num_steps - metrics.step))
        self._bar.update(self._task, completed=metrics.step, left=f"{left} left")
        if not self._console.is_terminal and (
            metrics.step % RECENT_STEPS == 0 or metrics.step == self._num_steps
        ):
            place = f"step {metrics.step:>4} of {self._num_steps}, epoch {metrics.epoch}"
            self.say(f"{place}, {self._speed()}, {left} left")

    def evaluated(self, step: int, figures: Mapping[str, float], best: bool) -> None:
        """Show an evaluation on the dev data."""
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._dev = f"step {step}: {shown}{', the best so far' if best else ''}"
        if not self._console.is_terminal:
            self.say(self._dev)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _speed(self) -> str:
        mean = sum(line.loss for line in self._recent) / len(self._recent)
        seconds = sum(line.seconds for line in self._recent)
        speed = sum(line.num_tokens for line in self._recent) / seconds if seconds else 0
        return f"{mean_of_steps(mean, len(self._recent))}, {speed:,.0f} tokens/s"

    def _render(self) -> Group:
        lines = [Text(sparkline(self._losses, 60), style="cyan")]
        if self._recent:
            lines.append(Text(self._speed()))
        if self._dev:
            lines.append(Text(f"dev  {self._dev}"))
        return Group(self._bar, *lines)


def mean_of_steps(loss: float, count: int) -> str:
    """As in `loss 1.234 (mean of 30 steps)`."""
    return f"loss {loss:.3f}{f' (mean of {count} steps)' if count > 1 else ''}"


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of all values in at most `width` characters, each the mean of its share."""
    count = min(width, len(values))
    edges = [round(place * len(values) / count) for place in range(count + 1)] if count else [0]
    shares = [values[start:end] for start, end in pairwise(edges)]
    means = [sum(share) / len(share) for share in shares]
    if not means:
        return ""
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1))] for mean in means)


def duration(seconds: float) -> str:
    """As in `1:05` or `2:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
