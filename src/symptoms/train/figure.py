"""The loss curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from symptoms.train.run_directory import StepMetrics


def draw_loss(metrics: Sequence[StepMetrics], title: str, path: Path) -> None:
    """Write a PNG with each step's loss in the background and each epoch's mean in front."""
    # Imported here, because matplotlib takes about a second; and drawn without a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
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
    axes.axhline(0.25, color="#b35900", linewidth=1, linestyle="--")
    axes.annotate(
        "0.25, where the original ended",
        xy=(metrics[-1].step, 0.25),
        xytext=(0, 5),
        textcoords="offset points",
        ha="right",
        color="#b35900",
        fontsize=9,
    )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("training step")
    axes.set_ylabel("loss (nats per trained token)")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.legend(frameon=False)
    figure.savefig(path)
