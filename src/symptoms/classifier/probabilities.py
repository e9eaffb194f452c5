"""From log-probabilities of lines to probabilities of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def probabilities_of(logprobs: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities over the last axis: the softmax of log-probabilities divided by a temperature.

    The labels are the only answers there are, so what the model gives to any other text is left out.
    """
    scaled = logprobs / temperature
    shifted = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
