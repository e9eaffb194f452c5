"""A sweep as it happens: a live table in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from symptoms.runs.final_loss import final_loss_is, mean_loss
from symptoms.runs.step_metrics import StepMetrics
from symptoms.sweep.folder import Outcome
from symptoms.sweep.requested_runs import RequestedRun
from symptoms.train.watching.live_console import LiveConsole
from symptoms.train.watching.live_view import RECENT_STEPS, duration, mean_of_steps
from symptoms.words import counted


@dataclass
class Row:
    """What is known of one run; figures are None before there are any."""

    run: RequestedRun
    state: str = "waiting"
    step: int = 0
    metrics: list[StepMetrics] = field(default_factory=list[StepMetrics])
    final_loss: float | None = None
    dev_loss: float | None = None
    dev_accuracy: float | None = None

    @property
    def examples_left(self) -> float:
        """Examples in the steps that are still to be taken; 0 once the run has finished or failed."""
        is_over = self.state in ("finished", "failed")
        return 0 if is_over else (self.run.num_steps - self.step) * self.run.examples_per_step

    @property
    def averaged(self) -> int:
        """Over how many of the last steps `loss` is the mean."""
        return min(len(self.metrics), RECENT_STEPS)

    @property
    def loss(self) -> float | None:
        """Mean over the last `averaged` steps, in nats per trained token; None before the first.

        Of a run that was not trained here, its final loss.
        """
        return mean_loss(self.metrics[-RECENT_STEPS:]) if self.metrics else self.final_loss


class SweepView(LiveConsole):
    """The table of all runs. Runs in other threads tell it what they do."""

    def __init__(self, console: Console, runs: Sequence[RequestedRun]) -> None:
        super().__init__(console)
        self._rows = {run.name: Row(run) for run in runs}
        self._started = time.monotonic()
        self._examples_done = 0.0

    def began(self, name: str, earlier: Sequence[StepMetrics]) -> None:
        """A run is being trained, from where it was left."""
        row = self._rows[name]
        row.state, row.metrics = "training", list(earlier)
        row.step = len(earlier)
        self._say(f"{name}: {f'goes on after step {row.step}' if earlier else 'training'}")

    def step(self, name: str, metrics: StepMetrics) -> None:
        """One step of a run is done."""
        row = self._rows[name]
        row.step = metrics.step
        row.metrics.append(metrics)
        self._examples_done += row.run.examples_per_step

    def evaluated(self, name: str, figures: Mapping[str, float]) -> None:
        """A run was evaluated on dev."""
        row = self._rows[name]
        row.dev_loss = figures["dev_loss"]
        row.dev_accuracy = figures.get("dev_accuracy")
        shown = ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in figures.items())
        loss = mean_of_steps(row.loss, row.averaged)
        self._say(f"{name}: step {row.step} of {row.run.num_steps}, {loss}, {shown}")

    def tests(self, name: str, what: str, total: int) -> Callable[[], None]:
        """A finished run is asked about a data set; returns what to call after each example."""
        row, done = self._rows[name], 0
        self._say(f"{name}: {what}, {counted(total, 'example')}")

        def advance() -> None:
            nonlocal done
            done += 1
            row.state = f"{what} {done}/{total}"

        return advance

    def ended(self, name: str, outcome: Outcome, say: bool = True) -> None:
        """What came of a run."""
        row = self._rows[name]
        row.state = outcome.state
        row.step = row.run.num_steps if outcome.state == "finished" else row.step
        if outcome.dev_loss is not None:
            row.dev_loss = outcome.dev_loss
        row.final_loss = outcome.final_loss
        if say:
            mean = f" ({final_loss_is(row.metrics)})" if row.metrics else ""
            told = outcome.problem or f"final loss {_number(outcome.final_loss)}{mean}"
            left = self._left()
            self._say(f"{name}: {outcome.state}, {told}{f'; {left} left in all' if left else ''}")

    def _say(self, text: str) -> None:
        if not self._console.is_terminal:
            self.say(text)

    def _left(self, row: Row | None = None) -> str:
        """Time for what is left, from the speed so far; empty while that is not known."""
        left = sum(one.examples_left for one in ([row] if row else self._rows.values()))
        if not self._examples_done or not left:
            return ""
        return duration(left * (time.monotonic() - self._started) / self._examples_done)

    def _render(self) -> Table:
        rows = list(self._rows.values())
        over = sum(row.state in ("finished", "failed") for row in rows)
        left = self._left()
        table = Table(
            "run",
            "state",
            "step",
            f"loss, mean of {RECENT_STEPS}",
            "dev NLL",
            "dev accuracy",
            "time left",
            box=None,
            pad_edge=False,
        )
        table.caption = f"{over} of {len(rows)} runs done{f', {left} left' if left else ''}"
        table.caption_justify = "left"
        for row in self._window(rows):
            step = f"{row.step}/{row.run.num_steps}"
            figures = (_number(row.loss), _number(row.dev_loss), _number(row.dev_accuracy))
            table.add_row(row.run.name, row.state, step, *figures, self._left(row))
        return table

    def _window(self, rows: list[Row]) -> list[Row]:
        """As many rows as the terminal has lines for, among them those that are at work."""
        room = max(3, self._console.height - 4)
        busy = next((place for place, row in enumerate(rows) if row.examples_left), 0)
        first = max(0, min(busy - room // 3, len(rows) - room))
        return rows[first : first + room]


@dataclass(frozen=True)
class RowView:
    """What the training loop of one run tells goes to its row."""

    view: SweepView
    name: str

    def step(self, metrics: StepMetrics) -> None:
        """Show one finished step."""
        self.view.step(self.name, metrics)

    def evaluated(self, step: int, figures: Mapping[str, float], best: bool) -> None:  # noqa: ARG002
        """Show an evaluation on the dev data."""
        self.view.evaluated(self.name, figures)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
