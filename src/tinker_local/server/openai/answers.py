"""What completions and chat completions answer with: whole, or chunk by chunk."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tokenizers import Tokenizer

from tinker_local.server.openai.texts import TokenText

Reason = Literal["stop", "length"]


@dataclass(frozen=True)
class Piece:
    """Some of a choice's text. `tokens` are those whose text is in it; `reason` is None while more comes."""

    index: int
    text: str
    tokens: Sequence[TokenText]
    reason: Reason | None


@dataclass(frozen=True)
class Usage:
    """How many tokens went in and came out, those that stopped a sequence included."""

    prompt: int
    completion: int

    def body(self) -> dict[str, int]:
        """The object of this name."""
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


@dataclass(frozen=True)
class Logprobs:
    """Writes log-probabilities, with the texts of tokens as this tokenizer has them."""

    tokenizer: Tokenizer
    num_top: int

    def text_of(self, token: int, entry: TokenText) -> str:
        """A token's own text; one that is a part of a character, or special, as it looks alone."""
        if token == entry.token and entry.text:
            return entry.text
        return self.tokenizer.decode([token], skip_special_tokens=False)

    def of_completion(self, tokens: Sequence[TokenText]) -> dict[str, Any]:
        """As /v1/completions has them: four lists of one length."""
        top = [
            {self.text_of(token, entry): logprob for token, logprob in entry.top[: self.num_top]}
            for entry in tokens
        ]
        return {
            "tokens": [self.text_of(entry.token, entry) for entry in tokens],
            "token_logprobs": [entry.logprob for entry in tokens],
            "top_logprobs": top if self.num_top else None,
            "text_offset": [entry.start for entry in tokens],
        }

    def of_chat(self, tokens: Sequence[TokenText]) -> dict[str, Any]:
        """As /v1/chat/completions has them: an object for each token."""
        content: list[dict[str, Any]] = []
        for entry in tokens:
            top = [self._scored(token, logprob, entry) for token, logprob in entry.top[: self.num_top]]
            content.append({**self._scored(entry.token, entry.logprob, entry), "top_logprobs": top})
        return {"content": content, "refusal": None}

    def _scored(self, token: int, logprob: float, entry: TokenText) -> dict[str, Any]:
        text = self.text_of(token, entry)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


@dataclass(frozen=True)
class CompletionForm:
    """/v1/completions: a choice is a text."""

    prefix: ClassVar[str] = "cmpl"
    whole: ClassVar[str] = "text_completion"
    chunk: ClassVar[str] = "text_completion"

    def choice(self, piece: Piece, logprobs: Logprobs | None) -> dict[str, Any]:
        """A whole choice, or a chunk of one."""
        told = None if logprobs is None else logprobs.of_completion(piece.tokens)
        return {"index": piece.index, "text": piece.text, "logprobs": told, "finish_reason": piece.reason}

    def begins(self, _index: int) -> None:
        """Nothing: what a stream says of a choice before its first text."""

    def delta(self, piece: Piece, logprobs: Logprobs | None) -> dict[str, Any]:
        """As `choice`."""
        return self.choice(piece, logprobs)


@dataclass(frozen=True)
class ChatForm:
    """/v1/chat/completions: a choice is the assistant's message."""

    prefix: ClassVar[str] = "chatcmpl"
    whole: ClassVar[str] = "chat.completion"
    chunk: ClassVar[str] = "chat.completion.chunk"

    def choice(self, piece: Piece, logprobs: Logprobs | None) -> dict[str, Any]:
        """A whole choice."""
        message = {"role": "assistant", "content": piece.text, "refusal": None}
        return {**self._common(piece, logprobs), "message": message}

    def begins(self, index: int) -> dict[str, Any]:
        """Whose message it is, before its first text."""
        delta = {"role": "assistant", "content": ""}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def delta(self, piece: Piece, logprobs: Logprobs | None) -> dict[str, Any]:
        """Some more of the message."""
        delta = {"content": piece.text} if piece.text or piece.reason is None else {}
        return {**self._common(piece, logprobs), "delta": delta}

    def _common(self, piece: Piece, logprobs: Logprobs | None) -> dict[str, Any]:
        told = None if logprobs is None else logprobs.of_chat(piece.tokens)
        return {"index": piece.index, "logprobs": told, "finish_reason": piece.reason}


Form = CompletionForm | ChatForm
"""How one kind of completion writes its choices."""


@dataclass(frozen=True)
class Envelope:
    """What stands around the choices of one request, alike in each of its chunks."""

    form: Form
    model: str
    logprobs: Logprobs | None
    number: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, pieces: Sequence[Piece], usage: Usage) -> dict[str, Any]:
        """The answer to a request that is not streamed."""
        choices = [self.form.choice(piece, self.logprobs) for piece in pieces]
        return {**self._around(self.form.whole, choices), "usage": usage.body()}

    def begins(self, index: int) -> dict[str, Any] | None:
        """The first chunk of a choice, where its kind has one."""
        first = self.form.begins(index)
        return None if first is None else self._around(self.form.chunk, [first])

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """A chunk of a stream."""
        return self._around(self.form.chunk, [self.form.delta(piece, self.logprobs)])

    def last(self, usage: Usage) -> dict[str, Any]:
        """The chunk that tells how many tokens it was."""
        return {**self._around(self.form.chunk, []), "usage": usage.body()}

    def _around(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"{self.form.prefix}-{self.number}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
