"""The one request that Tinker's protocol does not have: named tokens behind many prompts, scored at once.

A sampling request scores named tokens along one prompt. Who classifies thousands of texts by the same labels
spends more on those requests than on the model, so these name the prompts, and once for all of them the
paths: tokens to put behind each prompt, and what could stand at each place along them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tinker_local.errors import RequestError
from tinker_local.wire.answers import Answer
from tinker_local.wire.requests import WireModel

Array = npt.NDArray[Any]

MOST_PROMPTS, MOST_PATHS = 256, 64
"""Of one request."""


class ScoredPath(WireModel):
    """Tokens behind a prompt; `named` holds for each place along them, the end included, what to score."""

    tokens: list[int]
    named: list[list[int]]


class ScorePaths(WireModel):
    """The body of score_paths, asked of a sampler that create_sampling_session made."""

    sampling_session_id: str
    prompts: list[list[int]] = Field(min_length=1, max_length=MOST_PROMPTS)
    paths: list[ScoredPath] = Field(min_length=1, max_length=MOST_PATHS)


class PathScores(Answer):
    """Answers score_paths: for each prompt the log-probabilities, in nats, of all named tokens in order."""

    logprobs: list[list[float]]


def named_along(path: ScoredPath) -> Array:
    """Int64 [len(tokens) + 1, k] of a path's named tokens, -1 in what is left over of shorter rows.

    Raises RequestError where the places do not fit the tokens, or none is named.
    """
    if len(path.named) != len(path.tokens) + 1:
        raise RequestError(
            f"A path of {len(path.tokens)} tokens has {len(path.named)} lists of named ones; send one more "
            "list than tokens."
        )
    width = max(map(len, path.named))
    if not width:
        raise RequestError("A path names no token to score; leave it out.")
    # Whatever is negative is refused with the ids outside the vocabulary.
    dense = np.full((len(path.named), width), -1, dtype=np.int64)
    for row, named in zip(dense, path.named, strict=True):
        row[: len(named)] = named
    return dense


def scores_in_order(paths: list[ScoredPath], scores: list[Array]) -> list[float]:
    """The scores of one prompt's paths, each float32 [tokens + 1, k], as `PathScores` lists them."""
    return [
        float(score)
        for path, found in zip(paths, scores, strict=True)
        for row, named in zip(found, path.named, strict=True)
        for score in row[: len(named)]
    ]
