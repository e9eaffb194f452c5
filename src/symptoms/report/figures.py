"""The figures of a report, as SVG text, in Okabe and Ito's colours for colour-blind readers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from symptoms.evaluate.evaluation_file import Evaluation
from symptoms.evaluate.measures.scores import Scores
from symptoms.report.headline import headline, name_of_model
from symptoms.safety.measuring import Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST_GROUPS = 3
"""A reliability diagram of one or two dots looks good or bad by chance."""

BASELINES_SHOWN = 3

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in inches, without a box around it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def as_svg(figure: Figure) -> str:
    """The figure as an SVG element with its text as text."""
    import matplotlib

    buffer = io.StringIO()
    # Paths instead of text would be unreadable to search and screen readers; a fixed salt keeps ids stable.
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "symptoms", "font.family": "sans-serif"}
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def comparison(evaluation: Evaluation) -> str:
    """Macro-F1 of the model and of every baseline, with intervals, the best at the top."""
    rows = [(name_of_model(evaluation), headline(evaluation).macro_f1, BLUE)]
    rows += [(baseline.name, baseline.scores.macro_f1, GREY) for baseline in evaluation.baselines]
    rows.sort(key=lambda row: row[1].value)
    figure, axes = new_figure(7.5, 0.9 + 0.36 * len(rows))
    for place, (_, interval, colour) in enumerate(rows):
        axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.5)
        axes.plot(interval.value, place, "o", color=colour, markersize=8)
        axes.annotate(
            f"{interval.value:.2f}", (interval.high, place), (6, -3), textcoords="offset points", color=INK
        )
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_xlim(0, min(1.0, max(row[1].high for row in rows) + 0.12))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("macro-F1 with 95% interval")
    axes.grid(axis="x", alpha=0.3)
    return as_svg(figure)


def reliability(scores: Scores) -> str | None:
    """Confidence against accuracy; on the diagonal a stated probability is what happens.

    The strokes are 95% Wilson intervals. None where there are too few groups of answers to make a picture.
    """
    bins = scores.calibration.bins
    if len(bins) < FEWEST_GROUPS:
        return None
    figure, axes = new_figure(4.6, 4.4)
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    most = max(one.count for one in bins)
    axes.plot([one.confidence for one in bins], [one.accuracy for one in bins], color=BLUE, linewidth=1)
    for one in bins:
        bounds = Share(round(one.accuracy * one.count), one.count).bounds
        axes.plot([one.confidence] * 2, bounds, color=BLUE, linewidth=2.5, alpha=0.35)
        size = 4 + 10 * (one.count / most) ** 0.5
        axes.plot(one.confidence, one.accuracy, "o", color=BLUE, markersize=size, clip_on=False)
        # Beside the dot, and not on the axis below one at zero.
        beside = (8, -10 if one.accuracy > 0.05 else 6)
        axes.annotate(
            str(one.count), (one.confidence, one.accuracy), beside, textcoords="offset points", fontsize=8
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="how sure the model was", ylabel="share that was right")
    axes.set_aspect("equal")
    return as_svg(figure)


def risk_coverage(evaluation: Evaluation) -> str | None:
    """Error among the answers that are kept, from the surest to all, for the model and the best baselines.

    None where all of the model's answers are equally sure, so that none can be kept before another.
    """
    own = evaluation.scores.risk_coverage
    if len(own.coverage) < 2:
        return None
    figure, axes = new_figure(5.6, 4.4)
    best = sorted(evaluation.baselines, key=lambda one: -one.scores.macro_f1.value)[:BASELINES_SHOWN]
    styles = ((ORANGE, "--"), (GREEN, "-."), (GREY, ":"))
    for baseline, (colour, style) in zip(best, styles, strict=False):
        curve = baseline.scores.risk_coverage
        # A curve of one point would be no line at all.
        marker = "o" if len(curve.coverage) == 1 else None
        axes.plot(curve.coverage, curve.risk, style, marker=marker, color=colour, label=baseline.name)
    axes.plot(own.coverage, own.risk, color=BLUE, linewidth=2, label=evaluation.subject.name)
    axes.axvline(0.8, color=GREY, linewidth=0.8)
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="share of texts answered, surest first", ylabel="error among those"
    )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    axes.grid(alpha=0.3)
    return as_svg(figure)


def conditions(evaluation: Evaluation) -> str | None:
    """Precision and recall of each condition, the best recognised at the top.

    Conditions of which nothing was recognised have no bars and are left out; None where that is all of them.
    """
    recognised = [one for one in evaluation.scores.conditions if one.f1 > 0]
    if not recognised:
        return None
    ordered = sorted(recognised, key=lambda one: (one.f1, one.recall))
    figure, axes = new_figure(7.5, 1.1 + 0.27 * len(ordered))
    places = np.arange(len(ordered))
    axes.barh(
        places + 0.2,
        [one.recall for one in ordered],
        0.38,
        color=BLUE,
        label="recall: of its texts, recognised",
    )
    axes.barh(
        places - 0.2,
        [one.precision for one in ordered],
        0.38,
        color=ORANGE,
        label="precision: of answers that name it, right",
    )
    axes.set_yticks(places, [one.condition.replace("_", " ") for one in ordered], fontsize=9)
    axes.set(xlim=(0, 1), ylim=(-0.7, len(ordered) - 0.3))
    # Below the axes, where it hides no bar.
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    return as_svg(figure)


def confusion(evaluation: Evaluation) -> str:
    """Counts of wanted conditions (rows) against given ones (columns)."""
    names = [label.replace("_", " ") for label in evaluation.test.label_ids] + ["no answer"]
    counts = np.array(evaluation.confusion)
    shown_rows = [index for index in range(len(counts)) if counts[index].any()]
    shown_columns = [
        index for index in range(counts.shape[1]) if counts[:, index].any() or index in shown_rows
    ]
    grid = counts[np.ix_(shown_rows, shown_columns)]
    figure, axes = new_figure(2.4 + 0.25 * len(shown_columns), 2.0 + 0.25 * len(shown_rows))
    axes.imshow(grid, cmap="Blues", vmin=0)
    for row, column in zip(*np.nonzero(grid), strict=True):
        dark = grid[row, column] > grid.max() / 2
        axes.text(
            column,
            row,
            str(grid[row, column]),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else INK,
        )
    axes.set_xticks(
        range(len(shown_columns)), [names[index] for index in shown_columns], rotation=90, fontsize=8
    )
    axes.set_yticks(range(len(shown_rows)), [names[index] for index in shown_rows], fontsize=8)
    axes.set(xlabel="answered", ylabel="wanted")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return as_svg(figure)


def learning_curve(evaluations: Sequence[Evaluation]) -> str | None:
    """Macro-F1 against the number of training examples; None where all had as many."""
    known = [
        (one.subject.num_trained_on, one.scores.macro_f1.value)
        for one in evaluations
        if one.subject.num_trained_on is not None
    ]
    sizes = sorted({size for size, _ in known})
    if len(sizes) < 2:
        return None
    figure, axes = new_figure(5.6, 4.0)
    for size, value in known:
        axes.plot(size, value, "o", color=BLUE, alpha=0.5)
    means = [float(np.mean([value for other, value in known if other == size])) for size in sizes]
    axes.plot(sizes, means, color=BLUE, label="mean over seeds")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set(ylim=(0, None), xlabel="training examples", ylabel="macro-F1 on the test set")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return as_svg(figure)
