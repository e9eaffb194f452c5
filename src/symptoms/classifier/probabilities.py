"""From log-probabilities of lines to probabilities of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symptoms.taxonomy import OUT_OF_SCOPE

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


def out_of_scope_columns(label_ids: Sequence[str]) -> list[int]:
    """Where the labels for texts without a condition to name stand among these."""
    return [index for index, label in enumerate(label_ids) if label in OUT_OF_SCOPE]


def kept_back(
    probabilities: NDArray[np.float64], outside: Sequence[int], bound: float | None
) -> NDArray[np.bool_]:
    """Whether a condition is the likeliest label of each row [n, labels], and not to be named, bool [n].

    It is not where the labels at the places `outside` together are at least as probable as `bound`. None
    keeps nothing back.
    """
    import numpy as np

    if bound is None or not outside:
        return np.zeros(len(probabilities), dtype=bool)
    condition = ~np.isin(probabilities.argmax(axis=1), outside)
    return condition & (probabilities[:, outside].sum(axis=1) >= bound)
