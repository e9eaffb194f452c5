"""The text of a sequence while it grows: whole characters only, and nothing of what stopped it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

CONTEXT_TOKENS = 8
"""Tokens of the prompt that are decoded along, since some tokenizers drop the space before the first word."""
UNFINISHED = "\ufffd"


@dataclass(frozen=True)
class TokenText:
    """One token: its id, its own text, its log-probability, the likeliest others, where its text begins."""

    token: int
    text: str
    logprob: float
    top: tuple[tuple[int, float], ...]
    start: int


@dataclass
class GrowingText:
    """Tokens go in one by one, and text comes out as soon as it is sure.

    What may be the beginning of a stop is held back, and so is a character of which bytes are missing.
    """

    tokenizer: Tokenizer
    stops: Sequence[str]
    end_tokens: frozenset[int]
    prompt: Sequence[int]
    stopped: bool = False
    text: str = ""
    """All that was let out."""
    _held: str = ""
    _told: int = 0
    _entries: list[TokenText] = field(default_factory=list[TokenText])

    def __post_init__(self) -> None:
        self._tokens = list(self.prompt[-CONTEXT_TOKENS:])
        self._begin, self._read = 0, len(self._tokens)

    def add(self, token: int, logprob: float, top: Sequence[tuple[int, float]] = ()) -> str:
        """One more token; returns the text that it lets out, which may be empty."""
        start = len(self.text) + len(self._held)
        piece = "" if token in self.end_tokens else self._decoded(token)
        self._entries.append(TokenText(token, piece, logprob, tuple(top), start))
        return self._let_out(piece, last=False)

    def end(self) -> str:
        """The text that was held back and is sure now that no more comes."""
        rest = self._decode(self._begin)[len(self._decode(self._begin, self._read)) :]
        return self._let_out(rest, last=True)

    def tokens(self) -> list[TokenText]:
        """The tokens, not told before, whose text was let out."""
        sure = [entry for entry in self._entries[self._told :] if entry.start < len(self.text)]
        self._told += len(sure)
        return sure

    def _let_out(self, piece: str, last: bool) -> str:
        if self.stopped:
            return ""
        self._held += piece
        places = [place for stop in self.stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.stopped = True
            sure = min(places)
        else:
            sure = len(self._held) if last else len(self._held) - self._num_held_back()
        out, self._held = self._held[:sure], self._held[sure:]
        self.text += out
        return out

    def _num_held_back(self) -> int:
        """Characters at the end that a stop may begin with."""
        longest = max((len(stop) for stop in self.stops), default=0)
        for length in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self.stops):
                return length
        return 0

    def _decoded(self, token: int) -> str:
        """What a token adds to the text; nothing while the bytes of its last character are not all there."""
        self._tokens.append(token)
        before, now = self._decode(self._begin, self._read), self._decode(self._begin)
        if now.endswith(UNFINISHED) or len(now) <= len(before):
            return ""
        self._begin, self._read = self._read, len(self._tokens)
        return now[len(before) :]

    def _decode(self, start: int, end: int | None = None) -> str:
        return self.tokenizer.decode(self._tokens[start:end], skip_special_tokens=True)
