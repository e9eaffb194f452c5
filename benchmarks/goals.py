"""What is to be reached, as ratios within one run, and how far a run is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import cases
from benchmarks.derived import peak_bytes, ratio, share_of_floor

GIB = 2**30
MANY = f" x {cases.SEQUENCES}"


@dataclass(frozen=True)
class Goal:
    """One figure of one case and its bound."""

    title: str
    case: str
    kind: str
    """`ratio`: how many times as long `of` takes as `to`; `memory`: the same of the peak memory; `bytes`: the
    peak memory of `of` alone; `floor`: the share of the measured bfloat16 matrix rate that `of` reaches."""
    of: str
    to: str
    bound: float
    at_least: bool = True

    def value(self, results: Mapping[str, Any]) -> float | None:
        """The figure in a run's results; None where it was not measured."""
        case = results["cases"].get(self.case)
        if case is None:
            return None
        if self.kind == "ratio":
            return ratio(case, self.of, self.to)
        if self.kind == "floor":
            return share_of_floor(case, self.of)
        of = peak_bytes(case, self.of)
        to = peak_bytes(case, self.to) if self.kind == "memory" else 1
        return None if of is None or to is None else of / to

    def reached(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self, value: float) -> str:
        """The figure with its unit."""
        if self.kind == "bytes":
            return f"{value / GIB:.2f} GiB"
        return f"{value:.0%}" if self.kind == "floor" else f"{value:.2f}"

    @property
    def bound_text(self) -> str:
        return f"at {'least' if self.at_least else 'most'} {self.text(self.bound)}"


def _decoding(title: str, of: str, bound: float, to: str = cases.OURS) -> Goal:
    return Goal(title, "decode-135m", "ratio", of, to, bound)


BATCH, SERVER, LARGE = "train-135m-batch", "memory-135m-server", "train-1b"
GOALS = (
    Goal("135M, 128 tokens: times as fast as peft in bfloat16", "train-135m", "ratio", cases.PEFT, cases.OURS, 2.5),
    Goal("the same: times as fast as the other commit", "train-135m", "ratio", cases.BESIDE, cases.OURS, 3.0),
    Goal("the same: share of the measured matrix rate", "train-135m", "floor", cases.OURS, "", 0.65),
    Goal("135M, 15 x 110 tokens: times as fast as peft in bfloat16", BATCH, "ratio", cases.PEFT, cases.OURS, 2.2),
    Goal("the same: peak memory of the server", SERVER, "bytes", cases.SERVER, "", 1.6 * GIB, at_least=False),
    Goal("1.2B, 80 tokens: times as fast as peft in bfloat16", LARGE, "ratio", cases.PEFT, cases.OURS, 1.6),
    Goal("the same: share of the measured matrix rate", LARGE, "floor", cases.OURS, "", 0.75),
    Goal("the same: peak memory, by that of peft", LARGE, "memory", cases.OURS, cases.PEFT, 0.5, at_least=False),
    Goal(
        "two servers training at once: times as long as one alone",
        "two-servers", "ratio", "the slower of two at once", "one server alone", 2.5, at_least=False,
    ),
    _decoding("decoding, one sequence: times as fast as llama.cpp in Q8_0", cases.Q8_0, 0.7),
    _decoding("decoding: tokens a second of 32 sequences, by those of one", cases.OURS, 8.0, cases.OURS + MANY),
    _decoding("decoding, one sequence: times as fast as generate in bfloat16", cases.GENERATE, 3.0),
    _decoding("the same in float32", cases.GENERATE_FLOAT32, 3.0),
    _decoding("32 sequences: times as fast as generate in bfloat16", cases.GENERATE + MANY, 3.0, cases.OURS + MANY),
    _decoding("the same in float32", cases.GENERATE_FLOAT32 + MANY, 3.0, cases.OURS + MANY),
    Goal(
        "30 labels behind a description: times as long as its forward pass",
        "labels-135m", "ratio", "ours, 30 labels", "ours, the description's log-probabilities", 1.6, at_least=False,
    ),
)  # fmt: skip
