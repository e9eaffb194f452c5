"""From log-probabilities of lines to probabilities of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def probabilities_of(logprobs: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities over the last axis: the softmax of log-probabilities divided by a temperature.

    The labels are the only answers there are, so what the model gives to any other text is left out.
    """
    import numpy as np

    scaled = logprobs / temperature
    shifted = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
