"""Draw docs/learning_curve.png: the fine-tuned bases and a bag of words, by the number of training examples.

    python benchmarks/learning_curve.py

The bases' figures are those stored in results/; the bag of words is fitted here on the same examples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from symptoms.data import load_dataset
from symptoms.data.subset import part_of
from symptoms.evaluate.baselines import fit_baselines
from symptoms.evaluate.evaluate_run import JOINED
from symptoms.evaluate.evaluation_file import read_evaluation
from symptoms.report.figures import new_figure

ROOT = Path(__file__).parent.parent
BAG_OF_WORDS = "TF-IDF + logistic regression"
BASES = {"smollm2-135m": ("#009E73", "^"), "symptoms-base": ("#0072B2", "o")}
SEEDS = (0, 1, 2)
PARTS = 900
"""Up to here the examples are drawn from train-900.jsonl, as many of each condition; beyond it all count."""

Curve = Mapping[int, Sequence[float]]
"""For each number of training examples the accuracies of the seeds."""


def stored_curves() -> dict[str, Curve]:
    """What results/ has of each base's single trainings."""
    found: dict[str, defaultdict[int, list[float]]] = {base: defaultdict(list) for base in BASES}
    for evaluation in map(read_evaluation, sorted((ROOT / "results").glob("*.json"))):
        subject = evaluation.subject
        alone = not {*JOINED} & {*subject.settings}
        if alone and subject.base_model in found and subject.num_trained_on is not None:
            found[subject.base_model][subject.num_trained_on].append(evaluation.by_label.accuracy.value)
    return {base: dict(curve) for base, curve in found.items()}


def bag_of_words(sizes: Sequence[int]) -> Curve:
    """The same examples in a bag of words; on all of them one seed is as good as another."""
    whole = load_dataset(ROOT / "data" / "train.jsonl")
    first = load_dataset(ROOT / "data" / "train-900.jsonl", whole.labels)
    dev, test = (load_dataset(ROOT / "data" / f"{split}.jsonl", whole.labels) for split in ("dev", "test"))
    ids = [label.id for label in whole.labels]
    curve: dict[int, list[float]] = {}
    for size in sizes:
        curve[size] = []
        for seed in SEEDS if size < PARTS else (0,):
            part = part_of(first, size // len(ids), seed) if size <= PARTS else whole
            [baseline] = [one for one in fit_baselines(part, dev, seed).fitted if one.name == BAG_OF_WORDS]
            answers = baseline.probabilities([example.input for example in test.examples]).argmax(axis=1)
            right = [ids[answer] == one.condition for answer, one in zip(answers, test.examples, strict=True)]
            curve[size].append(mean(right))
    return curve


def main() -> None:
    """Fit the bag of words at every size, print all curves, and draw."""
    ours = stored_curves()
    sizes = sorted({size for curve in ours.values() for size in curve})
    theirs = bag_of_words(sizes)
    curves: list[tuple[str, Curve, str, str, str]] = [
        (f"{base}, fine-tuned", ours[base], colour, marker, "-") for base, (colour, marker) in BASES.items()
    ]
    curves.append((BAG_OF_WORDS, theirs, "#D55E00", "s", "--"))
    figure, axes = new_figure(6.4, 4.2)
    for name, curve, colour, marker, line in curves:
        of_curve = sorted(curve)
        axes.plot(
            of_curve, [mean(curve[size]) for size in of_curve], line, color=colour, label=f"{name}, mean"
        )
        for size in of_curve:
            axes.plot([size] * len(curve[size]), curve[size], marker, color=colour, alpha=0.5)
            print(f"{name}, {size} examples: {mean(curve[size]):.2f}", [round(one, 3) for one in curve[size]])
    guessing = 1 / 30
    axes.axhline(guessing, color="#777777", linewidth=1)
    axes.annotate("guessing", (sizes[-1], guessing), ha="right", va="top", color="#555555")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set(
        ylim=(0, None), xlabel="training examples, of 30 conditions", ylabel="accuracy on 300 unseen texts"
    )
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.3)
    figure.savefig(ROOT / "docs" / "learning_curve.png", dpi=150)


if __name__ == "__main__":
    main()
