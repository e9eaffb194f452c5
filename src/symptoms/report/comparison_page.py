"""A comparison as rows of a table, as data for programs, and as one self-contained HTML page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from symptoms import __version__
from symptoms.disclaimer import DISCLAIMER
from symptoms.report import comparison_figures as figures
from symptoms.report.comparing import Comparison, Group, Spread
from symptoms.report.pages import ENOUGH_FOR_A_VERDICT, difference_text, interval_text, template
from symptoms.words import counted

HEADS = (
    "setting", "seeds", "final loss", "dev NLL", "dev, of the label", "test, of the label", "readable",
    "test accuracy", "test macro-F1", "macro-F1, less the first", "time", "tokens", "cost",
)  # fmt: skip

MEASURES = (
    "Of the label: the likeliest label is right. Readable: all three lines could be read. "
    "Accuracy and macro-F1 ask for both. Dev figures are of the weights that a run uses, by its best_by."
)


def table_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row of texts for each group, under `HEADS`; columns that nobody has are empty texts."""
    return [_row(group) for group in comparison.groups]


def shown_columns(rows: list[tuple[str, ...]]) -> list[int]:
    """The columns in which some row has a figure."""
    return [place for place in range(len(HEADS)) if any(row[place] != "-" for row in rows)]


def as_data(comparison: Comparison) -> dict[str, Any]:
    """The comparison for programs, with every run."""
    return {
        "differing_settings": list(comparison.differing),
        "test": comparison.test,
        "groups": [_group_data(group) for group in comparison.groups],
        "notes": list(comparison.notes),
    }


def write_comparison(file: Path, comparison: Comparison) -> None:
    """Write the page."""
    rows = table_rows(comparison)
    page = template("compare.html.j2", True).render(
        comparison=comparison,
        heads=HEADS,
        rows=rows,
        columns=shown_columns(rows),
        measures=MEASURES,
        figures={
            "loss": figures.loss_curves(comparison),
            "dev": figures.dev_curves(comparison),
            "dev_accuracy": figures.dev_accuracy_curves(comparison),
            "test": figures.test_scores(comparison),
            "differences": figures.test_differences(comparison),
        },
        verdicts=verdicts(comparison),
        disclaimer=DISCLAIMER,
        version=__version__,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")


def verdicts(comparison: Comparison) -> list[str]:
    """For each group that can be compared with the first, whether it is better on the test set."""
    first = comparison.groups[0].name
    found: list[str] = []
    for group in comparison.groups[1:]:
        if group.test is None or group.test.macro_f1_difference is None:
            continue
        gap, texts = group.test.macro_f1_difference, group.num_texts
        if texts < ENOUGH_FOR_A_VERDICT:
            found.append(
                f"{group.name} and {first}: {counted(texts, 'text')} are too few to tell them apart."
            )
            continue
        if gap.low == gap.high == 0:
            said = "does not differ"
        elif gap.low > 0:
            said = "is better"
        elif gap.high < 0:
            said = "is worse"
        else:
            said = "may differ by chance alone"
        found.append(f"{group.name} {said}: macro-F1 {difference_text(gap, texts)} against {first}.")
    return found


def _row(group: Group) -> tuple[str, ...]:
    seconds, tokens = group.spread(lambda run: run.seconds), group.spread(lambda run: run.num_tokens)
    test = group.test
    gap = test.macro_f1_difference if test else None
    return (
        group.name,
        ", ".join("-" if run.seed is None else str(run.seed) for run in group.runs),
        _spread(group.spread(lambda run: run.final_loss)),
        _spread(group.spread(lambda run: run.used_dev.get("dev_loss"))),
        _spread(group.spread(lambda run: run.used_dev.get("dev_accuracy")), ".2f"),
        interval_text(test.label_accuracy) if test else "-",
        f"{test.parse_rate:.0%}" if test else "-",
        interval_text(test.accuracy) if test else "-",
        interval_text(test.macro_f1) if test else "-",
        difference_text(gap, group.num_texts) if gap else "-",
        f"{seconds.mean:,.0f} s" if seconds else "-",
        f"{tokens.mean:,.0f}" if tokens else "-",
        _cost(group.dollars),
    )


def _spread(spread: Spread | None, form: str = ".3f") -> str:
    """The mean, and in brackets the smallest and the largest of several."""
    if spread is None:
        return "-"
    mean = format(spread.mean, form)
    return mean if spread.count == 1 else f"{mean} ({spread.low:{form}} to {spread.high:{form}})"


def _cost(dollars: float | None) -> str:
    return "not known" if dollars is None else "none" if dollars == 0 else f"${dollars:.2f} in all"


def _group_data(group: Group) -> dict[str, Any]:
    def spread(value: Spread | None) -> dict[str, Any] | None:
        return None if value is None else asdict(value)

    return {
        "name": group.name,
        "settings": group.settings,
        "final_loss": spread(group.spread(lambda run: run.final_loss)),
        "dev_loss": spread(group.spread(lambda run: run.used_dev.get("dev_loss"))),
        "dev_accuracy": spread(group.spread(lambda run: run.used_dev.get("dev_accuracy"))),
        "train_seconds": spread(group.spread(lambda run: run.seconds)),
        "num_tokens": spread(group.spread(lambda run: run.num_tokens)),
        "dollars": group.dollars,
        "test": None if group.test is None else asdict(group.test),
        "runs": [
            {
                "name": run.name,
                "seed": run.seed,
                "finished": run.is_finished,
                "final_loss": run.final_loss,
                "dev_loss": run.used_dev.get("dev_loss"),
                "dev_accuracy": run.used_dev.get("dev_accuracy"),
                "train_seconds": run.seconds,
                "num_tokens": run.num_tokens,
                "dollars": run.dollars,
                "test_macro_f1": run.evaluation.scores.macro_f1.value if run.evaluation else None,
                "test_accuracy": run.evaluation.scores.accuracy.value if run.evaluation else None,
                "test_label_accuracy": run.evaluation.by_label.accuracy.value if run.evaluation else None,
                "test_parse_rate": run.evaluation.written.parse_rate if run.evaluation else None,
                "test_sha256": run.evaluation.test.sha256 if run.evaluation else None,
            }
            for run in group.runs
        ],
    }
