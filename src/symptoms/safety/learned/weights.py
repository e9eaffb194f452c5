"""The learned screen's weights: how they are kept, read, and turned into scores."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from symptoms.data.misspelling.vocabulary import Vocabulary
from symptoms.safety.learned.features import BLOCKS, Block
from symptoms.safety.rulebook import Category

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS_FILE = "weights.npz"
SMALLEST_NORM = 1e-9


@dataclass(frozen=True)
class Thresholds:
    """From which scores on a text is at a level.

    Below `topic` a text is about nothing near danger. `possible` and `clear` are of the score for danger;
    `clear_by_rule` is that for a text in which a readable rule has found danger, too.
    """

    topic: float
    possible: float
    clear: float
    clear_by_rule: float


@dataclass(frozen=True)
class Weights:
    """One row a linear model, in the order topic, danger, then the categories; one column a place.

    `rows` are int8 (models, PLACES), to be multiplied by `steps` (models, blocks); `rarity` is uint8
    (PLACES,), to be multiplied by `rarity_step`; `biases` are (models,). `vocabulary` has the words of the
    texts that they were learned from.
    """

    rows: NDArray[np.int8]
    steps: NDArray[np.float32]
    biases: NDArray[np.float32]
    rarity: NDArray[np.uint8]
    rarity_step: float
    thresholds: Thresholds
    vocabulary: Vocabulary


@dataclass(frozen=True)
class Scores:
    """Log-odds: that a text is about anything near danger, that it is of danger now, and of which kind."""

    topic: float
    danger: float
    category: Category


def scores_of(counted: Mapping[Block, Mapping[int, float]], weights: Weights) -> Scores:
    """The scores of a text from its features, as in `features_of`."""
    import numpy as np

    total = weights.biases.astype(np.float64)
    for number, block in enumerate(BLOCKS):
        found = counted.get(block)
        if not found:
            continue
        places = np.fromiter(found.keys(), dtype=np.int64, count=len(found))
        values = np.fromiter(found.values(), dtype=np.float64, count=len(found))
        values *= weights.rarity[places] * weights.rarity_step
        norm = max(math.sqrt(float(values @ values)), SMALLEST_NORM)
        total += (weights.rows[:, places] @ values) * weights.steps[:, number] * (block.scale / norm)
    topic, danger, *kinds = (float(score) for score in total)
    return Scores(topic, danger, list(Category)[kinds.index(max(kinds))])


@cache
def shipped_weights() -> Weights:
    """The weights that ship with the package."""
    return read_weights(files(__package__ or __name__).joinpath(WEIGHTS_FILE).read_bytes())


def read_weights(content: bytes) -> Weights:
    """The weights in an archive that `benchmarks.fit_crisis_screen` made; no pickle is read."""
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        settings: dict[str, Any] = json.loads(str(kept["settings"]))
        return Weights(
            rows=kept["rows"],
            steps=kept["steps"],
            biases=kept["biases"],
            rarity=kept["rarity"],
            rarity_step=settings["rarity_step"],
            thresholds=Thresholds(**settings["thresholds"]),
            vocabulary=Vocabulary.from_text(kept["words"].tobytes().decode("utf-8")),
        )
