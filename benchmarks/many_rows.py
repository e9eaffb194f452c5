"""How many rows a second are assessed, one by one and together.

    python benchmarks/many_rows.py RUN [--rows 200] [--rounds 3]

In alternation, so that a noisy moment falls on both, and on other texts each time, as the server remembers
what it has read. Run it alone on the machine. RUN is a trained run by name or folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from symptoms import Classifier
from symptoms.data import load_dataset

DATA = Path(__file__).parent.parent / "data"


def rows_per_second(texts: list[str], action: Callable[[list[str]], object]) -> float:
    """How fast an action is done with all of these texts."""
    started = time.perf_counter()
    action(texts)
    return len(texts) / (time.perf_counter() - started)


def main() -> None:
    """Assess one by one and together in turn, and print both rates and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    files = [DATA / f"{name}.jsonl" for name in ("train", "test")]
    texts = [example.input for file in files for example in load_dataset(file).examples]
    with Classifier.load(options.run) as classifier:
        ways: dict[str, Callable[[list[str]], object]] = {
            "one by one": lambda part: [classifier.assess(text) for text in part],
            "together": classifier.assess_many,
        }
        classifier.assess_many(texts[-64:])
        rates: dict[str, list[float]] = {name: [] for name in ways}
        first = 0
        for _ in range(options.rounds):
            for name, way in ways.items():
                part = [texts[(first + index) % len(texts)] for index in range(options.rows)]
                rates[name].append(rows_per_second(part, way))
                first += options.rows
    for name, found in rates.items():
        print(f"{name}: {median(found):.1f} rows/s ({min(found):.1f} to {max(found):.1f})")
    ratios = [together / alone for alone, together in zip(*rates.values(), strict=True)]
    print(f"together by one by one: {median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
