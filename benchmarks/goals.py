"""What is to be reached, as ratios within one run, and how far a run is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cases import (
    ALL_LABELS,
    BESIDE,
    BOTH_SERVERS,
    GENERATE,
    GENERATE_WIDE,
    MANY,
    ONE_SERVER,
    OURS,
    PEFT,
    PROMPT_READ,
    Q8_0,
)
from benchmarks.cases import SERVER as THROUGH_SERVER
from benchmarks.derived import peak_bytes, ratio, seconds_of, share_of_floor

GIB = 2**30


@dataclass(frozen=True)
class Goal:
    """One figure of one case and its bound."""

    title: str
    case: str
    kind: str
    """`ratio`: how many times as long `of` takes as `to`; `memory`: the same of the peak memory; `bytes`: the
    peak memory of `of` alone; `600`: seconds of 600 steps of `of`; `floor`: the share of the bfloat16
    matrix rate that `of` reaches."""
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
        if self.kind == "600":
            seconds = seconds_of(case, self.of)
            return None if seconds is None else 600 * median(seconds)
        of = peak_bytes(case, self.of)
        to = peak_bytes(case, self.to) if self.kind == "memory" else 1
        return None if of is None or to is None else of / to

    def reached(self, value: float) -> bool:
        """Whether a ratio is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self, value: float) -> str:
        """The figure with its unit."""
        if self.kind == "bytes":
            return f"{value / GIB:.2f} GiB"
        if self.kind == "600":
            return f"{value:.0f} s"
        return f"{value:.0%}" if self.kind == "floor" else f"{value:.2f}"

    @property
    def bound_text(self) -> str:
        """The bound as the page tells it."""
        return f"at {'least' if self.at_least else 'most'} {self.text(self.bound)}"


BATCH, SERVER, LARGE = "train-135m-batch", "memory-135m-server", "train-1b"
DECODE, LABELS, TWO = "decode-135m", "labels-135m", "two-servers"
FASTER = "times as fast as"
GOALS = (
    Goal(f"135M, 128 tokens: {FASTER} peft in bfloat16", "train-135m", "ratio", PEFT, OURS, 2.5),
    Goal(f"the same: {FASTER} the other commit", "train-135m", "ratio", BESIDE, OURS, 3.0),
    Goal("the same: share of the matrix rate", "train-135m", "floor", OURS, "", 0.65),
    Goal("the same: 600 steps through the server", "train-135m", "600", THROUGH_SERVER, "", 150, False),
    Goal(f"135M, 15 x 110 tokens: {FASTER} peft in bfloat16", BATCH, "ratio", PEFT, OURS, 2.2),
    Goal("the same: peak memory of the server", SERVER, "bytes", THROUGH_SERVER, "", 1.6 * GIB, False),
    Goal(f"1.2B, 80 tokens: {FASTER} peft in bfloat16", LARGE, "ratio", PEFT, OURS, 1.6),
    Goal("the same: share of the matrix rate", LARGE, "floor", OURS, "", 0.75),
    Goal("the same: peak memory, by that of peft", LARGE, "memory", OURS, PEFT, 0.5, False),
    Goal("two servers training at once, by one alone", TWO, "ratio", BOTH_SERVERS, ONE_SERVER, 2.5, False),
    Goal(f"decoding, one sequence: {FASTER} llama.cpp, Q8_0", DECODE, "ratio", Q8_0, OURS, 0.7),
    Goal(f"the same: {FASTER} generate in bfloat16", DECODE, "ratio", GENERATE, OURS, 3.0),
    Goal(f"the same: {FASTER} generate in float32", DECODE, "ratio", GENERATE_WIDE, OURS, 3.0),
    Goal("decoding: tokens a second of 32 sequences, by one", DECODE, "ratio", OURS, OURS + MANY, 8.0),
    Goal(f"32 sequences: {FASTER} generate in bfloat16", DECODE, "ratio", GENERATE + MANY, OURS + MANY, 3.0),
    Goal(f"the same: {FASTER} generate in float32", DECODE, "ratio", GENERATE_WIDE + MANY, OURS + MANY, 3.0),
    Goal(
        "30 labels, by the forward pass of their prompt",
        LABELS,
        "ratio",
        ALL_LABELS,
        PROMPT_READ,
        1.6,
        False,
    ),
)
