"""Log-probabilities of targets under an unembedding, a few rows at a time.

Scores over a vocabulary of 128,256 tokens take half a megabyte a row, and their gradients as much again. They
are made, differentiated and forgotten for as many rows as fit into `SCORES_MEMORY`, whatever the length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.linear import LinearGroup
from tinker_local.engine.kernels.matmul import rounded_up
from tinker_local.engine.kernels.native.library import kernels, takes_rows

SCORES_MEMORY = 20 * 2**20
"""Bytes for the scores of the rows that are looked at together; more would not stay in the caches."""
ROWS = 16
"""Rows are scored in multiples of this many."""

Derivative = Callable[[slice, Tensor], Tensor]
"""(rows, their log-probabilities) -> the loss's derivative by each log-probability, in the same shape."""


def target_logprobs(unembedding: LinearGroup, states: Tensor, targets: Tensor) -> Tensor:
    """Log-probability, float32, of each target, int64 [rows] or [rows, k], after states [rows, hidden]."""
    found = torch.empty(targets.shape, dtype=torch.float32, device=states.device)
    for rows in _pieces(unembedding, states):
        scored = _scored(unembedding.forward(_padded(states[rows]))[0])
        found[rows] = scored.logprobs(_padded(targets[rows]))[: len(found[rows])]
    return found


def target_logprobs_and_gradient(
    unembedding: LinearGroup, states: Tensor, targets: Tensor, derivative: Derivative
) -> tuple[Tensor, Tensor]:
    """As `target_logprobs`, and the gradient to the states; that to the adapter is gathered."""
    found = torch.empty(targets.shape, dtype=torch.float32, device=states.device)
    to_states = torch.empty_like(states)
    for rows in _pieces(unembedding, states):
        x, wanted, number = _padded(states[rows]), _padded(targets[rows]), len(found[rows])
        scores, low = unembedding.forward(x)
        scored = _scored(scores)
        found[rows] = scored.logprobs(wanted)[:number]
        to_scores = scored.gradient(wanted, _padded(derivative(rows, found[rows])))
        to_states[rows] = unembedding.backward(x, low, to_scores)[:number]
    return found, to_states


@dataclass(frozen=True)
class _Scored:
    """Scores [rows, vocab_size], and in float32 e to each less its row's peak, and the sums of these."""

    scores: Tensor
    peaks: Tensor
    exponentials: Tensor
    totals: Tensor

    @classmethod
    def of(cls, scores: Tensor) -> _Scored:
        peaks = scores.amax(dim=1, keepdim=True).float()
        # With the wide peaks the difference is wide, in one pass.
        exponentials = (scores - peaks).exp_()
        return cls(scores, peaks, exponentials, exponentials.sum(dim=1, keepdim=True))

    def logprobs(self, targets: Tensor) -> Tensor:
        chosen = self.scores.gather(1, targets.view(len(targets), -1)).float()
        return (chosen - self.peaks - self.totals.log()).view(targets.shape)

    def gradient(self, targets: Tensor, by_logprob: Tensor) -> Tensor:
        """The loss's gradient to the scores, in their place; what was here is used up.

        d logprob_t / d score_v is 1 where v is t, less the probability of v. The two are added in float32,
        since of a target that is nearly certain almost nothing is left.
        """
        by_logprob = by_logprob.view(len(targets), -1)
        wide = self.exponentials.mul_(-by_logprob.sum(dim=1, keepdim=True) / self.totals)
        wide.scatter_add_(1, targets.view(len(targets), -1), by_logprob)
        return self.scores.copy_(wide)


@dataclass(frozen=True)
class _HalfScored:
    """The same of scores in bfloat16 by the kernels in C: scores, and logarithms of the sums [rows, 1]."""

    scores: Tensor
    log_sums: Tensor

    def logprobs(self, targets: Tensor) -> Tensor:
        chosen = self.scores.gather(1, targets.view(len(targets), -1)).float()
        return (chosen - self.log_sums).view(targets.shape)

    def gradient(self, targets: Tensor, by_logprob: Tensor) -> Tensor:
        targets, by_logprob = (x.reshape(len(x), -1).contiguous() for x in (targets, by_logprob))
        sizes = (targets.shape[1], *self.scores.shape, torch.get_num_threads())
        kernels().half_score_gradients(self.scores, self.log_sums, targets, by_logprob, *sizes)
        return self.scores


def _scored(scores: Tensor) -> _Scored | _HalfScored:
    if takes_rows(scores):
        log_sums = scores.new_empty((len(scores), 1), dtype=torch.float32)
        kernels().half_log_sums(scores, log_sums, *scores.shape, torch.get_num_threads())
        return _HalfScored(scores, log_sums)
    return _Scored.of(scores)


def _pieces(unembedding: LinearGroup, states: Tensor) -> Iterator[slice]:
    # The kernels in C keep no exponentials beside the scores. The fewer the pieces, the less often the whole
    # unembedding comes from memory.
    beside = 0 if takes_rows(states) else torch.float32.itemsize
    row = unembedding.outputs * (states.element_size() + beside)
    size = max(1, SCORES_MEMORY // row // ROWS) * ROWS
    return (slice(start, start + size) for start in range(0, len(states), size))


def _padded(x: Tensor) -> Tensor:
    """With rows of zeros to a multiple of `ROWS`, since each number of rows has kernels of its own."""
    missing = rounded_up(len(x), ROWS) - len(x)
    return F.pad(x, (0, 0) * (x.ndim - 1) + (0, missing)) if missing else x
