"""What is fitted of a probability on the dev set: its temperature, and from where on an answer is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symptoms.classifier import out_of_scope_columns, probabilities_of
from symptoms.evaluate.measures.abstention import (
    answering_confidence,
    out_of_scope_bound,
    threshold_for_risk,
)
from symptoms.evaluate.measures.calibration import cautious_temperature


@dataclass(frozen=True)
class Calibrator:
    """What dev decides: the probabilities' temperature, and the confidence below which not to answer.

    `threshold` is None where no confidence is known to keep the risk; then nothing is answered. From a
    probability of `out_of_scope_bound` on that there is no condition to name, none is named either.
    """

    temperature: float
    threshold: float | None
    risk: float
    out_of_scope_bound: float | None = None

    @classmethod
    def fit(
        cls,
        logprobs: NDArray[np.float64],
        wanted: NDArray[np.int64],
        risk: float,
        label_ids: Sequence[str] = (),
    ) -> Calibrator:
        """Fitted on log-probabilities [n, labels] of the dev set and its right labels' indices [n].

        `risk` is the share of wrong answers that the threshold is to keep; `label_ids` are the labels'.
        """
        temperature = cautious_temperature(logprobs, wanted)
        probabilities = probabilities_of(logprobs, temperature)
        bound = out_of_scope_bound(probabilities, wanted, out_of_scope_columns(label_ids))
        confidence = answering_confidence(probabilities, label_ids, bound)
        right = probabilities.argmax(axis=1) == wanted
        threshold = threshold_for_risk(confidence, right, risk)
        # Where all of dev may be answered, what the bound keeps back still may not.
        return cls(temperature, None if threshold is None else max(threshold, 0.0), risk, bound)
