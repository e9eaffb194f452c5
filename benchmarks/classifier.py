"""How soon the classifier answers, on texts of the test set.

    python benchmarks/classifier.py RUN

Run it alone on the machine. RUN is a trained run by name or folder.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

STARTED = time.perf_counter()

from symptoms import Classifier  # noqa: E402 - the imports are a part of what is timed
from symptoms.data import load_dataset  # noqa: E402

DATA = Path(__file__).parent.parent / "data" / "test.jsonl"
ONE_BY_ONE, TOGETHER, ROUNDS = 60, 32, 3


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    """Print milliseconds for one assessment and for several, and seconds to the first."""
    texts = [example.input for example in load_dataset(DATA).examples]
    with Classifier.load(sys.argv[1]) as classifier:
        classifier.assess(texts[0])
        first = time.perf_counter() - STARTED
        single = [seconds(lambda text=text: classifier.assess(text)) for text in texts[1 : ONE_BY_ONE + 1]]
        alone: list[float] = []
        together: list[float] = []
        # In turns, so that a noisy moment falls on both.
        for number in range(ROUNDS):
            batch = texts[(number + 2) * TOGETHER : (number + 3) * TOGETHER]
            alone.append(seconds(lambda batch=batch: [classifier.assess(text) for text in batch]))
            together.append(seconds(lambda batch=batch: list(classifier.assess_many(batch))))
    apart, at_once, slow = median(alone) * 1e3, median(together) * 1e3, quantiles(single, n=20)[-1] * 1e3
    print(f"from the start of the program to the first assessment: {first:.1f} s")
    print(f"one assessment, warm: median {median(single) * 1e3:.0f} ms, p95 {slow:.0f} ms")
    print(
        f"{TOGETHER} texts: {apart:.0f} ms one by one, {at_once:.0f} ms together, {apart / at_once:.1f} times"
    )


if __name__ == "__main__":
    main()
