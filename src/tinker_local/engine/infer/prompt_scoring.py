"""Log-probabilities of prompts: of the tokens that stand there, of the likeliest, of named and sampled ones.

A prompt is scored piece by piece as it is prefilled; its first token never, since nothing stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinker_local.domain.generation import GenerationRequest, PromptScores, TokenLogprobs
from tinker_local.engine.infer.networks.network import Network
from tinker_local.engine.kernels.vocabulary import log_sums

TOKENS_AT_ONCE = 256
"""Scores over the vocabulary are made for this many tokens at a time at most,"""
BYTES_AT_ONCE = 64 * 2**20
"""and for so few that they take no more bytes than this, as long as those are at least two."""
ROWS_AT_ONCE = 128
"""And sampled from for this many."""
PROMPT_STREAM = 2**32
"""Draws along a prompt have a random stream of their own, apart from those of the numbered samples."""

Array = npt.NDArray[Any]

EMPTY_CELL = -99999.0


def scored_at_once(vocab_size: int) -> int:
    """How many tokens are scored over such a vocabulary at a time."""
    return max(min(TOKENS_AT_ONCE, BYTES_AT_ONCE // (4 * vocab_size)), 2)


def continuation_logprobs(network: Network, states: Tensor, before: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target [n] after the state [tokens, hidden] that stands at `before` [n].

    A state that several targets follow is scored over the vocabulary once.
    """
    distinct, rows = cast(tuple[Tensor, Tensor], torch.unique(before, return_inverse=True))
    logprobs = torch.zeros(len(targets), device=states.device)
    at_once = scored_at_once(network.config.vocab_size)
    for start in range(0, len(distinct), at_once):
        chosen = distinct[start : start + at_once]
        scores = network.logits(states[chosen])
        mine = (rows >= start) & (rows < start + at_once)
        of = rows[mine] - start
        logprobs[mine] = scores[of, targets[mine]] - log_sums(scores)[of]
    return logprobs


class PromptScoring:
    """What one request asks about its prompt, and the answers so far. Positions are scored in order."""

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self._generator = np.random.default_rng([request.seed, PROMPT_STREAM])
        named = request.named_prompt_tokens
        self._end = len(request.prompt) - 1 if named is None else request.named_from + len(named)
        """Where scoring over the vocabulary ends; behind the last token too, where what follows is named."""
        self._asks_widely = bool(
            request.top_prompt_logprobs or request.prompt_samples or request.named_prompt_tokens is not None
        )
        self._logprobs = np.full(len(request.prompt), np.nan, dtype=np.float32)
        self._named = None if named is None else np.zeros(named.shape, dtype=np.float32)
        top, count = request.top_prompt_logprobs, request.prompt_samples
        self._top = [_cells(np.zeros((1, top)), np.full((1, top), EMPTY_CELL))]
        self._sampled = [_cells(np.zeros((0, count)), np.zeros((0, count)))]
        self.first = self._first_position()
        """The first position whose state is still needed; the prompt's length minus one at most."""

    def _first_position(self) -> int:
        request, last = self._request, len(self._request.prompt) - 1
        first = last
        if request.prompt_logprobs:
            first = min(first, max(request.scored_from, 1) - 1)
        if request.top_prompt_logprobs or request.prompt_samples:
            first = 0
        elif request.named_prompt_tokens is not None:
            wanted = np.flatnonzero((request.named_prompt_tokens >= 0).any(axis=1))
            first = min(first, request.named_from + int(wanted[0])) if len(wanted) else first
        return first

    def targets(self, start: int, end: int) -> list[int]:
        """The positions in [start, end) after which the prompt's own next token is to be scored."""
        if not self._request.prompt_logprobs:
            return []
        first = max(self._request.scored_from, 1) - 1
        return [*range(max(start, first, self.first), min(end, len(self._request.prompt) - 1))]

    def set_logprob(self, position: int, logprob: float) -> None:
        """The log-probability of the token behind this position."""
        self._logprobs[position + 1] = logprob

    def widely(self, start: int, end: int) -> Array:
        """Positions in [start, end), int64, after which scores over the whole vocabulary are asked for."""
        request, named = self._request, self._request.named_prompt_tokens
        if not self._asks_widely:
            return np.zeros(0, dtype=np.int64)
        positions = np.arange(max(start, self.first), min(end, self._end))
        if not request.top_prompt_logprobs and not request.prompt_samples and named is not None:
            # Positions that name nothing are not computed.
            positions = positions[positions >= request.named_from]
            positions = positions[(named[positions - request.named_from] >= 0).any(axis=1)]
        return positions

    def note(self, positions: Array, scores: Tensor, sums: Tensor) -> None:
        """Take what is asked from scores [n, vocab_size] after these positions, and their `log_sums` [n]."""
        request, named = self._request, self._request.named_prompt_tokens
        if request.top_prompt_logprobs:
            best = scores.topk(request.top_prompt_logprobs, dim=-1)
            values = best.values - sums[:, None]
            self._top.append(_cells(best.indices.cpu().numpy(), values.cpu().numpy()))
        if named is not None and self._named is not None:
            rows = positions - request.named_from
            wanted = named[rows]
            tokens = torch.from_numpy(wanted.clip(min=0)).to(scores.device)
            found = (scores.gather(1, tokens) - sums[:, None]).cpu().numpy()
            self._named[rows] = np.where(wanted >= 0, found, 0.0)
        if request.prompt_samples:
            tokens = _sample(scores, request.prompt_samples, request.temperature, self._generator)
            values = scores.gather(1, tokens) - sums[:, None]
            self._sampled.append(_cells(tokens.cpu().numpy(), values.cpu().numpy()))

    def reached(self, end: int) -> None:
        """Note that the positions before `end` are done with."""
        self.first = max(self.first, min(end, len(self._request.prompt) - 1))

    def result(self) -> PromptScores:
        """What was asked, whole once the prompt is prefilled; None in each field that was not asked."""
        request = self._request
        return PromptScores(
            logprobs=self._logprobs if request.prompt_logprobs else None,
            top=_joined(self._top) if request.top_prompt_logprobs else None,
            named=self._named,
            sampled=_joined(self._sampled) if request.prompt_samples else None,
        )


def _sample(scores: Tensor, count: int, temperature: float, generator: np.random.Generator) -> Tensor:
    """Independent samples, int64 [n, count], from scores over the vocabulary [n, vocab_size]."""
    if temperature == 0:
        return scores.argmax(dim=-1, keepdim=True).expand(-1, count)
    pieces: list[Tensor] = []
    # A few rows at a time, since double precision takes twice the memory of the scores.
    for rows in torch.split(scores, ROWS_AT_ONCE):
        # The best score is taken off first, so that dividing by a tiny temperature gives no infinity.
        wide = (rows - rows.amax(dim=-1, keepdim=True)).double() / temperature
        cumulative = torch.softmax(wide, dim=-1).cumsum(dim=-1)
        points = torch.from_numpy(generator.random((len(rows), count))).to(scores.device)
        found = torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True)
        pieces.append(found.clamp(max=scores.shape[1] - 1))
    return torch.cat(pieces)


def _cells(token_ids: Array, logprobs: Array) -> TokenLogprobs:
    return TokenLogprobs(token_ids.astype(np.int32), logprobs.astype(np.float32))


def _joined(parts: Sequence[TokenLogprobs]) -> TokenLogprobs:
    return TokenLogprobs(
        np.concatenate([part.token_ids for part in parts]), np.concatenate([part.logprobs for part in parts])
    )
