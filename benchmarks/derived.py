"""What a case's measurements come to: medians, ratios taken repetition by repetition, shares of the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Measured = Mapping[str, Any]


def seconds_of(case: Measured, name: str) -> Sequence[float] | None:
    """A contestant's seconds, one for each repetition; None where it did not take part."""
    row = row_of(case, name)
    return None if row is None or not row["seconds"] else row["seconds"]


def row_of(case: Measured, name: str) -> Mapping[str, Any] | None:
    """A contestant's row of a case, or None where it did not take part."""
    return next((row for row in case["contestants"] if row["name"] == name), None)


def ratio(case: Measured, of: str, to: str) -> float | None:
    """How many times as long `of` takes as `to`: the median over repetitions of their own ratios.

    Both of a repetition were measured next to each other, so what else the machine does falls on both.
    """
    above, below = seconds_of(case, of), seconds_of(case, to)
    if above is None or below is None:
        return None
    return median(one / other for one, other in zip(above, below, strict=True))


def share_of_floor(case: Measured, name: str, dtype: str = "bfloat16") -> float | None:
    """The time that the work's operations take at the matrix rate of that type, by the time that it took."""
    seconds = seconds_of(case, name)
    if seconds is None or case["flops"] is None:
        return None
    rates = case["matrix_flops"][dtype]
    return median(case["flops"] / rate / taken for rate, taken in zip(rates, seconds, strict=True))


def peak_bytes(case: Measured, name: str) -> int | None:
    """The most memory that a contestant took in a case, in bytes; None where that wasn't measured."""
    row = row_of(case, name)
    return None if row is None else row.get("peak_bytes")
