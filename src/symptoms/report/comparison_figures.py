"""The figures of a comparison. Colour, line and marker all tell groups apart, for colour-blind readers."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from textwrap import fill

from symptoms.evaluate.measures.intervals import Interval
from symptoms.report.comparing import ComparedRun, Comparison, Group, TestFigures
from symptoms.report.figures import INK, as_svg, new_figure
from symptoms.report.pages import ENOUGH_FOR_A_VERDICT

# Okabe and Ito's palette, the yellow left out, since it is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SMOOTHED_POINTS = 60
NAME_WIDTH = 44
"""Characters in a line of a group's name, so that two stand side by side below a figure."""

Curve = Callable[[ComparedRun], tuple[list[float], list[float]]]


def loss_curves(comparison: Comparison) -> str | None:
    """Training loss of every run against the tokens it has seen; long runs are averaged piece by piece.

    None where no run has two steps, of which a curve could be made.
    """
    return _curves(comparison, _training, "training loss (nats per token)", marked=False)


def dev_curves(comparison: Comparison) -> str | None:
    """Loss on dev; None where no run was evaluated on any twice."""
    return _curves(comparison, _dev, "dev NLL (nats per token)", marked=True)


def dev_accuracy_curves(comparison: Comparison) -> str | None:
    """Accuracy on dev; None where it was not asked for twice."""
    return _curves(comparison, _accuracy, "dev accuracy", marked=True)


def test_scores(comparison: Comparison) -> str | None:
    """Macro-F1 on the test set: mean and interval of each group, and each seed; None without any."""
    groups = [group for group in comparison.groups if group.test is not None]
    if not groups:
        return None

    def seeds(group: Group) -> list[float]:
        return [run.evaluation.scores.macro_f1.value for run in group.runs if run.evaluation]

    return _intervals(
        comparison, lambda test: test.macro_f1, "macro-F1 on test, with 95% interval", seeds, zero=False
    )


def test_differences(comparison: Comparison) -> str | None:
    """Macro-F1 less that of the first group, paired; None for few texts, or where none can be paired."""
    if not any(
        group.test and group.test.macro_f1_difference and group.num_texts >= ENOUGH_FOR_A_VERDICT
        for group in comparison.groups
    ):
        return None
    return _intervals(
        comparison,
        lambda test: test.macro_f1_difference,
        "macro-F1 less that of the first setting, with 95% interval",
        lambda _: [],
        zero=True,
    )


def _curves(comparison: Comparison, curve: Curve, label: str, marked: bool) -> str | None:
    drawn = [
        (place, group, [points for run in group.runs if (points := curve(run))[0]])
        for place, group in enumerate(comparison.groups)
    ]
    drawn = [(place, group, runs) for place, group, runs in drawn if runs]
    if not any(len(across) > 1 for _, _, runs in drawn for across, _ in runs):
        return None
    figure, axes = new_figure(7.5, 3.6 + 0.2 * ((len(drawn) + 1) // 2))
    for place, group, runs in drawn:
        for number, (across, up) in enumerate(runs):
            axes.plot(
                across,
                up,
                color=COLOURS[place % len(COLOURS)],
                linestyle=LINES[place % len(LINES)],
                # A run of one point would be no line at all.
                marker=MARKERS[place % len(MARKERS)] if marked or len(across) == 1 else None,
                markersize=4,
                linewidth=1.3,
                alpha=0.85,
                label=fill(group.name, NAME_WIDTH) if number == 0 else None,
            )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="tokens seen", ylabel=label)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return as_svg(figure)


def _intervals(
    comparison: Comparison,
    interval_of: Callable[[TestFigures], Interval | None],
    label: str,
    seeds: Callable[[Group], Sequence[float]],
    zero: bool,
) -> str:
    shown = [
        (place, group, interval)
        for place, group in enumerate(comparison.groups)
        if group.test is not None and (interval := interval_of(group.test)) is not None
    ]
    figure, axes = new_figure(7.5, 0.9 + 0.5 * len(shown))
    for line, (place, group, interval) in enumerate(reversed(shown)):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        axes.plot([interval.low, interval.high], [line, line], color=colour, linewidth=2.5)
        axes.plot(interval.value, line, marker, color=colour, markersize=8)
        axes.plot(seeds(group), [line - 0.22] * len(seeds(group)), "|", color=colour, markersize=7, alpha=0.8)
        right = max(interval.high, *seeds(group)) if seeds(group) else interval.high
        text = f"{interval.value:+.2f}" if zero else f"{interval.value:.2f}"
        axes.annotate(text, (right, line), (6, -3), textcoords="offset points", color=INK)
    axes.set_yticks(range(len(shown)), [fill(group.name, NAME_WIDTH) for _, group, _ in reversed(shown)])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    if zero:
        axes.axvline(0, color=INK, linewidth=1)
    else:
        axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    return as_svg(figure)


def _tokens(run: ComparedRun) -> list[float]:
    """Tokens seen by the end of each step."""
    return [float(total) for total in accumulate(line.num_tokens for line in run.metrics)]


def _training(run: ComparedRun) -> tuple[list[float], list[float]]:
    tokens, count = _tokens(run), len(run.metrics)
    if not count:
        return [], []
    shares = min(count, SMOOTHED_POINTS)
    edges = [round(place * count / shares) for place in range(shares + 1)]
    across = [tokens[(start + end - 1) // 2] for start, end in pairwise(edges)]
    lines = [run.metrics[start:end] for start, end in pairwise(edges)]
    return across, [sum(line.loss for line in share) / len(share) for share in lines]


def _dev(run: ComparedRun) -> tuple[list[float], list[float]]:
    return _at_evaluations(run, "dev_loss")


def _accuracy(run: ComparedRun) -> tuple[list[float], list[float]]:
    return _at_evaluations(run, "dev_accuracy")


def _at_evaluations(run: ComparedRun, key: str) -> tuple[list[float], list[float]]:
    tokens = _tokens(run)
    lines = [line for line in run.dev if key in line and line["step"] <= len(tokens)]
    return [tokens[line["step"] - 1] for line in lines], [line[key] for line in lines]
