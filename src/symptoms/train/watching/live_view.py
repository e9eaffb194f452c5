"""Training as it happens: a live view in a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from symptoms.runs.final_loss import mean_loss
from symptoms.runs.step_metrics import StepMetrics
from symptoms.service.prices import Price
from symptoms.train.watching.live_console import LiveConsole

RECENT_STEPS = 30
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Paid:
    """What tokens cost; an evaluation has `num_dev_tokens`."""

    price: Price
    num_dev_tokens: int = 0
    num_evaluations: int = 0
    """Those of a resumed run that were done before."""


class LiveView(LiveConsole):
    """Progress, the loss, dev metrics, tokens per second, the time that is left and the cost so far."""

    def __init__(
        self,
        console: Console,
        num_steps: int,
        earlier: Sequence[StepMetrics] = (),
        paid: Paid | None = None,
    ) -> None:
        """`earlier` are the steps of a resumed run that were done before; without `paid` no cost is shown."""
        super().__init__(console)
        self._paid = paid
        self._num_paid_tokens = sum(line.num_tokens for line in earlier)
        if paid is not None:
            self._num_paid_tokens += paid.num_evaluations * paid.num_dev_tokens
        self._num_steps = num_steps
        self._losses = [line.loss for line in earlier]
        self._recent: list[StepMetrics] = []
        self._dev = ""
        self._bar = Progress(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        )
        self._task = self._bar.add_task("training", total=num_steps, completed=len(earlier), left="")

    def step(self, metrics: StepMetrics) -> None:
        """Show one finished step."""
        self._num_paid_tokens += metrics.num_tokens
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
        if self._paid is not None:
            self._num_paid_tokens += self._paid.num_dev_tokens
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._dev = f"step {step}: {shown}{', the best so far' if best else ''}"
        if not self._console.is_terminal:
            self.say(self._dev)

    def _speed(self) -> str:
        seconds = sum(line.seconds for line in self._recent)
        speed = sum(line.num_tokens for line in self._recent) / seconds if seconds else 0
        loss = mean_of_steps(mean_loss(self._recent), len(self._recent))
        return f"{loss}, {speed:,.0f} tokens/s{self._cost()}"

    def _cost(self) -> str:
        if self._paid is None:
            return ""
        return f", {in_dollars(self._paid.price.dollars(self._num_paid_tokens))} so far"

    def _render(self) -> Group:
        lines = [Text(sparkline(self._losses, 60), style="cyan")]
        if self._recent:
            lines.append(Text(self._speed()))
        if self._dev:
            lines.append(Text(f"dev  {self._dev}"))
        return Group(self._bar, *lines)


def in_dollars(dollars: float) -> str:
    """As in `$12.34`; less than a cent, as few tokens cost, with as many digits as tell it."""
    return f"${dollars:.2f}" if dollars >= 0.01 else f"${dollars:.2g}"


def mean_of_steps(loss: float | None, count: int) -> str:
    """As in `loss 1.234 (mean of 30 steps)`; `loss -` where there is none."""
    if loss is None:
        return "loss -"
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
