"""The figures of the page: how near to the machine's matrix rate a step comes, and what memory it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cases import OURS, PEFT
from benchmarks.derived import peak_bytes, share_of_floor
from benchmarks.goals import GIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
GREY = "#8A8A8A"
AXES = {
    "tokens": "tokens of one text",
    "batch": "texts of 128 tokens",
    "rank": "rank of the adapter, 128 tokens",
    "model": "parameters of the model, 128 tokens",
}
Points = list[tuple[float, float]]


def draw_curves(runs: Sequence[Mapping[str, Any]], folder: Path) -> list[tuple[str, str]]:
    """Write performance.png and performance-memory.png, and tell which with their descriptions.

    Neither is written where no run has a curve.
    """
    from matplotlib.figure import Figure

    def speed(case: Mapping[str, Any], name: str) -> float | None:
        share = share_of_floor(case, name)
        return None if share is None else 100 * share

    def memory(case: Mapping[str, Any], name: str) -> float | None:
        peak = peak_bytes(case, name)
        return None if peak is None else peak / GIB

    pictures = (
        ("performance.png", speed, "% of the matrix rate", ("tokens", "batch", "rank", "model")),
        ("performance-memory.png", memory, "peak memory, GiB", ("tokens", "batch")),
    )
    drawn: list[tuple[str, str]] = []
    for file, value, label, curves in pictures:
        with_curves = [run for run in runs if any(points(run, curve, OURS, value) for curve in curves)]
        if not with_curves:
            continue
        rows = (len(curves) + 1) // 2
        figure = Figure(figsize=(9, 0.5 + 3 * rows), layout="constrained")
        panels = figure.subplots(rows, 2, squeeze=False).flat
        for axes, curve in zip(panels, curves, strict=True):
            _draw(axes, with_curves, curve, value)
            axes.set_xlabel(AXES[curve])
            axes.set_ylabel(label)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
        figure.savefig(folder / file, dpi=150)
        drawn.append((file, f"{label}, over {', '.join(AXES[curve] for curve in curves)}"))
    return drawn


def points(run: Mapping[str, Any], curve: str, name: str, value: Any) -> Points:
    """A contestant's points on a curve of a run, in their order."""
    found: Points = []
    for case in run["cases"].values():
        if case["curve"] and case["curve"][0] == curve:
            figure = value(case, name)
            if figure is not None:
                found.append((case["curve"][1], figure))
    return sorted(found)


def _number(value: float) -> str:
    """1024, 135M or 1.2B."""
    for unit, letter in ((1e9, "B"), (1e6, "M")):
        if value >= unit:
            scaled = value / unit
            return f"{scaled:.1f}{letter}" if scaled < 10 else f"{scaled:.0f}{letter}"
    return f"{value:g}"


def _draw(axes: Axes, runs: Sequence[Mapping[str, Any]], curve: str, value: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log", base=2 if curve != "model" else 10)
    places: set[float] = set()
    for number, run in enumerate(runs):
        suffix = f" (`{run['run']}`)".replace("`", "") if len(runs) > 1 else ""
        for name, colour, marker in ((OURS, COLOURS[number % len(COLOURS)], "o"), (PEFT, GREY, "s")):
            line = points(run, curve, name, value)
            places |= {place for place, _ in line}
            # Every run measures peft again, since only a run's own ratio says something.
            style = "-" if number == len(runs) - 1 else "--"
            axes.plot(
                *zip(*line, strict=True) if line else ([], []),
                style, color=colour, marker=marker, markersize=5, label=name + suffix,
            )  # fmt: skip
    axes.set_xticks(sorted(places), [_number(place) for place in sorted(places)])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
