"""How often an answer changed that should have stayed, or stayed that should have changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from symptoms.evaluate.robustness.trials import MINIMAL_PAIRS, NEGATION, THIRD_PERSON, Trial

_Answered = tuple[Trial, NDArray[np.float64]]

BOTH_RIGHT = f"{MINIMAL_PAIRS}, both right"
WORST = 3


@dataclass(frozen=True)
class FailedTrial:
    """A changed text with the leading label before and after; for pairs both texts, first and second."""

    text: str
    before: str
    before_probability: float
    after: str
    after_probability: float


@dataclass(frozen=True)
class FailureRow:
    """Failures among the `n` trials, or pairs, of one capability; `worst` have the surest answers."""

    capability: str
    kind: Literal["invariance", "change"]
    n: int
    failures: int
    rate: float
    worst: tuple[FailedTrial, ...]


@dataclass(frozen=True)
class _Outcome:
    capability: str
    kind: Literal["invariance", "change"]
    is_failure: bool
    details: FailedTrial


def failure_table(
    trials: Sequence[Trial],
    probabilities: NDArray[np.float64],
    originals: Mapping[str, NDArray[np.float64]],
    label_ids: Sequence[str],
) -> tuple[FailureRow, ...]:
    """One row a capability, from probabilities [n, labels] of the trials and [labels] of each original by id.

    Invariance fails when the leading label changes; the third person, when the label that led is no less
    probable than before; a pair, when both texts get the same leading label, and in a row of its own, when
    not both are right. Pairs whose conditions are not all among the labels are left out.
    """
    outcomes: list[_Outcome] = []
    pairs: dict[tuple[str, str], list[_Answered]] = {}
    for trial, after in zip(trials, probabilities, strict=True):
        if trial.capability in (NEGATION, MINIMAL_PAIRS):
            pairs.setdefault((trial.capability, trial.original), []).append((trial, after))
        else:
            outcomes.append(_of_change(trial, originals[trial.original], after, label_ids))
    for first, second in pairs.values():
        if {first[0].wanted, second[0].wanted} <= set(label_ids):
            outcomes += _of_pair(first, second, label_ids)
    capabilities = dict.fromkeys(outcome.capability for outcome in outcomes)
    return tuple(_row([one for one in outcomes if one.capability == each]) for each in capabilities)


def _of_change(
    trial: Trial, before: NDArray[np.float64], after: NDArray[np.float64], label_ids: Sequence[str]
) -> _Outcome:
    led, leads = int(before.argmax()), int(after.argmax())
    is_failure = bool(after[led] >= before[led]) if trial.capability == THIRD_PERSON else leads != led
    return _Outcome(trial.capability, trial.kind, is_failure, _details(trial.text, before, after, label_ids))


def _of_pair(first: _Answered, second: _Answered, label_ids: Sequence[str]) -> Iterator[_Outcome]:
    (one, before), (other, after) = first, second
    details = _details(f"{one.text} / {other.text}", before, after, label_ids)
    yield _Outcome(one.capability, one.kind, details.before == details.after, details)
    if one.capability == MINIMAL_PAIRS:
        is_right = (details.before, details.after) == (one.wanted, other.wanted)
        yield _Outcome(BOTH_RIGHT, one.kind, not is_right, details)


def _details(
    text: str, before: NDArray[np.float64], after: NDArray[np.float64], label_ids: Sequence[str]
) -> FailedTrial:
    led, leads = int(before.argmax()), int(after.argmax())
    return FailedTrial(text, label_ids[led], float(before[led]), label_ids[leads], float(after[leads]))


def _row(outcomes: Sequence[_Outcome]) -> FailureRow:
    failed = [outcome.details for outcome in outcomes if outcome.is_failure]
    failed.sort(key=lambda one: -one.before_probability * one.after_probability)
    return FailureRow(
        capability=outcomes[0].capability,
        kind=outcomes[0].kind,
        n=len(outcomes),
        failures=len(failed),
        rate=len(failed) / len(outcomes),
        worst=tuple(failed[:WORST]),
    )
