"""The parts of the table: a check, what was found by it, and the row that both make."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from symptoms.conformance.probe import NotMeasurableError, Probe
from symptoms.service.faults import PAYMENT, TOO_OFTEN, StatusError, error_of

Verdict = Literal["as documented", "differs", "refused", "not measured"]
"""`refused`: an error, or no answer, where one was due; `not measured`: what it needs is missing."""

TOLERANCE = 0.25
"""How far a measured ratio may be from the expected one, relatively: what curvature can make of it."""

NO_ANSWER = "no answer within the time given"

OF_THE_MOMENT = frozenset((401, PAYMENT, 408, TOO_OFTEN))
"""Refusals that are about the key, the account or the hour, and not about what was asked for."""


@dataclass(frozen=True)
class Measurement:
    """What came. `holds` is None where it could not be measured."""

    came: str
    holds: bool | None
    consequence: str | None = None
    """In place of the check's own, where what came tells more exactly what follows."""


@dataclass(frozen=True)
class Check:
    """One thing to be measured. `measure` may raise whatever the SDK does; that becomes a row, too."""

    name: str
    asked: str
    """What is asked of the server, and what hosted Tinker documents that comes."""
    consequence: str
    """What it does to a run where it is otherwise, in plain words."""
    measure: Callable[[Probe], Measurement]
    comes_last: bool = False
    """For what a server that computes it all the same may take long over."""


def check(
    name: str, consequence: str, comes_last: bool = False
) -> Callable[[Callable[[Probe], Measurement]], Check]:
    """The check that a function makes; its docstring's first paragraph says what is asked."""

    def made(measure: Callable[[Probe], Measurement]) -> Check:
        asked = inspect.cleandoc(measure.__doc__ or "").partition("\n\n")[0].removesuffix(".")
        return Check(name, asked[0].lower() + asked[1:], consequence, measure, comes_last)

    return made


def checks_of(*modules: ModuleType) -> tuple[Check, ...]:
    """The checks of modules as they stand in them, those that come last behind the others."""
    found = [one for module in modules for one in vars(module).values() if isinstance(one, Check)]
    return tuple(sorted(found, key=lambda one: one.comes_last))


def in_steps(
    steps: float,
    expected: float,
    tolerance: float = TOLERANCE,
    if_one: str | None = None,
    near_one: float = TOLERANCE,
    told: str = "times the step",
) -> Measurement:
    """What so many usual steps say where others were expected; `if_one`, what follows where it is one."""
    consequence = if_one if near(steps, 1, near_one) else None
    return Measurement(f"{steps:.2f} {told}", near(steps, expected, tolerance), consequence)


@dataclass(frozen=True)
class Row:
    """One line of the table. `consequence` is empty where all is as documented."""

    name: str
    asked: str
    came: str
    verdict: Verdict
    consequence: str
    may_pass: bool = False
    """Whether what was refused may come when it is asked for again: nothing was measured then."""


def row_of(check: Check, measurement: Measurement) -> Row:
    """The row of a check that was answered."""
    if measurement.holds is None:
        return Row(check.name, check.asked, measurement.came, "not measured", "")
    if measurement.holds:
        return Row(check.name, check.asked, measurement.came, "as documented", "")
    consequence = measurement.consequence or check.consequence
    return Row(check.name, check.asked, measurement.came, "differs", consequence)


def row_of_error(check: Check, error: BaseException) -> Row:
    """The row of a check that ended with an error."""
    if isinstance(error, NotMeasurableError):
        return Row(check.name, check.asked, str(error), "not measured", "")
    if isinstance(error, TimeoutError):
        came = NO_ANSWER
    else:
        words = " ".join(str(error).split())
        came = f"{type(error).__name__}: {words[:200]}" if words else type(error).__name__
    return Row(check.name, check.asked, came, "refused", check.consequence, _may_pass(error))


def _may_pass(error: BaseException) -> bool:
    """Whether an error says nothing of the server that would hold the next time, too."""
    import tinker

    known = error_of(error, "the server") if isinstance(error, Exception) else error
    if isinstance(known, tinker.RequestFailedError):
        return known.category != "user"
    if isinstance(known, StatusError):
        status = known.status
    elif isinstance(known, tinker.APIStatusError):
        status = known.status_code
    else:
        return True
    return not 400 <= status < 500 or status in OF_THE_MOMENT


def near(value: float, expected: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a measured ratio is the expected one, or for an expected zero, close enough to it."""
    if expected == 0:
        return abs(value) <= tolerance
    return abs(value / expected - 1) <= tolerance
