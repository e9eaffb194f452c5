"""`python -m benchmarks.crisis_screen_levels`: what the levels of the crisis screen's third layer could be.

Prints, for English and for the other languages, what share of the held-out texts of data/crisis is found and
alarmed on from each sum of scores on that finds a given share of the true ones, or calls a given share of the
harmless ones clear; and beside it the descriptions of data/dev.jsonl and ordinary sentences. The sums that
were chosen stand in `classifier/shipped_crisis_layer.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit_crisis_screen import read_ordinary
from symptoms.classifier.measuring_crisis_layer import crisis_scores
from symptoms.data import load_dataset
from symptoms.safety.languages import ENGLISH
from symptoms.safety.measuring import LabelledText, read_held_out

DATA = Path(__file__).parents[1] / "data"
SHARES_FOUND = (0.90, 0.92, 0.93, 0.94, 0.95, 0.96)
SHARES_CLEAR = (0.03, 0.04, 0.05)

Sums = NDArray[np.float64]


def main() -> None:
    """Ask of all texts at once, then print a row for each share."""
    held_out = read_held_out(DATA / "crisis")
    descriptions = [example.input for example in load_dataset(DATA / "dev.jsonl").examples]
    sentences = [one.text for one in read_ordinary(DATA / "crisis") if one.held_out]
    texts = [*(one.text for one in held_out), *descriptions, *sentences]
    sums = np.array([*crisis_scores(texts)])
    of_held_out, others = sums[: len(held_out)], sums[len(held_out) :]
    told = others[: len(descriptions)], others[len(descriptions) :]
    for title, english in (("English", True), ("other languages", False)):
        print(title)
        _print_rows(*_of_language(held_out, of_held_out, english), *told)


def _of_language(texts: list[LabelledText], sums: Sums, english: bool) -> tuple[Sums, Sums]:
    """The sums of the true texts and of the harmless ones."""
    of_it = np.array([(text.language == ENGLISH.code) is english for text in texts])
    crisis = np.array([text.crisis for text in texts])
    return sums[of_it & crisis], sums[of_it & ~crisis]


def _print_rows(true: Sums, harmless: Sums, descriptions: Sums, sentences: Sums) -> None:
    chosen = [("possible", float(np.quantile(true, 1 - share, method="lower"))) for share in SHARES_FOUND]
    chosen += [("clear", float(np.quantile(harmless, 1 - share, method="higher"))) for share in SHARES_CLEAR]
    for level, least in chosen:
        shares = [float(np.mean(sums >= least)) for sums in (true, harmless, descriptions, sentences)]
        print(
            f"  {level} from {least:6.2f} on: found {shares[0]:.0%} of {len(true)}, alarms {shares[1]:.0%} "
            f"of {len(harmless)}, of descriptions {shares[2]:.0%}, of ordinary sentences {shares[3]:.1%}"
        )


if __name__ == "__main__":
    main()
