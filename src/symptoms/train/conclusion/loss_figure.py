"""The loss curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symptoms.runs.step_metrics import StepMetrics


def draw_loss(
    metrics: Sequence[StepMetrics],
    evaluations: Sequence[Mapping[str, Any]],
    title: str,
    path: Path,
    aim: float | None,
) -> None:
    """Write a PNG with each step's loss in the background, each epoch's mean and the dev loss in front.

    `aim` is the loss at which the original experiment ended.
    """
    # Imported here, because matplotlib takes about a second; and drawn without a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # A line through a single step would be in the legend alone.
    if len(metrics) > 1:
        axes.plot(
            [line.step for line in metrics],
            [line.loss for line in metrics],
            color="#9ab8d6",
            linewidth=0.8,
            label="each step",
        )
    epochs = sorted({line.epoch for line in metrics})
    middles: list[float] = []
    means: list[float] = []
    for epoch in epochs:
        lines = [line for line in metrics if line.epoch == epoch]
        middles.append(sum(line.step for line in lines) / len(lines))
        means.append(sum(line.loss for line in lines) / len(lines))
    axes.plot(
        middles, means, color="#0b3d6b", linewidth=2, marker="o", markersize=4, label="mean of an epoch"
    )
    if evaluations:
        axes.plot(
            [line["step"] for line in evaluations],
            [line["dev_loss"] for line in evaluations],
            color="#a03060",
            linewidth=2,
            marker="s",
            markersize=4,
            label="dev data",
        )
    if aim is not None:
        axes.axhline(aim, color="#b35900", linewidth=1, linestyle="--")
        axes.annotate(
            f"{aim}, where the original ended",
            xy=(metrics[-1].step, aim),
            xytext=(0, 5),
            textcoords="offset points",
            ha="right",
            color="#b35900",
            fontsize=9,
        )
    axes.set_xlim(0, max(2.0, 1.03 * metrics[-1].step))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("training step")
    axes.set_ylabel("loss (nats per trained token)")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.legend(frameon=False)
    figure.savefig(path)
