"""Draw docs/learning_curve.png: the fine-tuned base and a bag of words, by the number of training examples.

    python benchmarks/learning_curve.py

The base's figures are those stored in results/; the bag of words is fitted here on the same examples.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import mean

from symptoms.data import load_dataset
from symptoms.data.subset import part_of
from symptoms.evaluate.baselines import fit_baselines
from symptoms.evaluate.evaluation_file import read_evaluation
from symptoms.report.figures import new_figure

ROOT = Path(__file__).parent.parent
BAG_OF_WORDS = "TF-IDF + logistic regression"
SEEDS = (0, 1, 2)


def main() -> None:
    """Fit the bag of words at every size, print both, and draw."""
    ours: defaultdict[int, list[float]] = defaultdict(list)
    for evaluation in map(read_evaluation, sorted((ROOT / "results").glob("*.json"))):
        if evaluation.subject.base_model == "symptoms-base":
            assert evaluation.subject.num_trained_on is not None
            ours[evaluation.subject.num_trained_on].append(evaluation.by_label.accuracy.value)
    train = load_dataset(ROOT / "data" / "train-900.jsonl")
    dev, test = (load_dataset(ROOT / "data" / f"{split}.jsonl", train.labels) for split in ("dev", "test"))
    ids = [label.id for label in train.labels]
    theirs: dict[int, list[float]] = {}
    for size in sorted(ours):
        theirs[size] = []
        for seed in SEEDS:
            part = part_of(train, size // len(ids), seed)
            [baseline] = [one for one in fit_baselines(part, dev, seed).fitted if one.name == BAG_OF_WORDS]
            answers = baseline.probabilities([example.input for example in test.examples]).argmax(axis=1)
            right = [ids[answer] == one.condition for answer, one in zip(answers, test.examples, strict=True)]
            theirs[size].append(mean(right))
        print(f"{size} examples: {BAG_OF_WORDS} {theirs[size]}, symptoms-base {ours[size]}", flush=True)

    figure, axes = new_figure(6.4, 4.2)
    for values, name, colour, marker, line in (
        (theirs, BAG_OF_WORDS, "#D55E00", "s", "--"),
        (dict(ours), "symptoms-base, fine-tuned", "#0072B2", "o", "-"),
    ):
        sizes = sorted(values)
        axes.plot(sizes, [mean(values[size]) for size in sizes], line, color=colour, label=f"{name}, mean")
        for size in sizes:
            axes.plot([size] * len(values[size]), values[size], marker, color=colour, alpha=0.5)
    axes.axhline(1 / len(ids), color="#777777", linewidth=1)
    axes.annotate("guessing", (sorted(ours)[-1], 1 / len(ids)), ha="right", va="top", color="#555555")
    axes.set_xscale("log")
    axes.set_xticks(sorted(ours), [str(size) for size in sorted(ours)])
    axes.minorticks_off()
    axes.set(
        ylim=(0, None), xlabel="training examples, of 30 conditions", ylabel="accuracy on 300 unseen texts"
    )
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.3)
    figure.savefig(ROOT / "docs" / "learning_curve.png", dpi=150)


if __name__ == "__main__":
    main()
