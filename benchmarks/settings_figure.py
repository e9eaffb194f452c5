"""Draw docs/settings.png: what each changed setting does to the figures on test, paired with the recommended.

    python benchmarks/settings_figure.py curve/examples-10-seed{0,1,2} findings

Takes runs and sweeps as `symptoms compare` does; the first is what the others are held against.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from symptoms.report.comparing import compare, read_run
from symptoms.report.figures import new_figure
from symptoms.runs import find_run
from symptoms.sweep import runs_of_sweep

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Draw the figure for the runs and sweeps in the arguments."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("runs", nargs="+")
    names: list[str] = arguments.parse_args().runs
    directories = [run for name in names for run in runs_of_sweep(name) or [find_run(name)]]
    groups = compare([read_run(directory) for directory in directories]).groups
    figure, axes = new_figure(8, 4)
    labels: list[str] = []
    for place, group in enumerate(groups[1:]):
        assert group.test is not None
        assert group.test.label_accuracy_difference is not None
        assert group.test.macro_f1_difference is not None
        labels.append(group.name.rsplit("/", 1)[-1])
        pairs = (
            (-0.13, group.test.label_accuracy_difference, "#0072b2", "o", "the likeliest label is right"),
            (0.13, group.test.macro_f1_difference, "#d55e00", "s", "macro-F1, answers that can be read"),
        )
        for shift, gap, colour, marker, label in pairs:
            axes.plot([gap.low, gap.high], [place + shift] * 2, color=colour, linewidth=2)
            named = label if place == 0 else None
            axes.plot(gap.value, place + shift, color=colour, marker=marker, linestyle="none", label=named)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("difference from the recommended settings on 300 unseen texts, with 95% interval")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(ROOT / "docs" / "settings.png", dpi=150)


if __name__ == "__main__":
    main()
