"""What llama.cpp makes of a GGUF file: tokens, texts and log-probabilities."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVE = Path(__file__).parent / "serve.py"


class LlamaCpp:
    """llama.cpp with one file loaded, as a context manager."""

    def __init__(self, file: Path, context: int = 512) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SERVE), str(file), str(context)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            # Without a debugger attached to the process where llama.cpp gives up.
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        )  # fmt: skip
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"llama.cpp does not load {file}; its reason is above.")
        self._address = address.removeprefix("http://")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids; with `parse_special`, control tokens that are spelled out become themselves."""
        answer = self._ask("/tokenize", content=text, add_special=add_special, parse_special=parse_special)
        return answer["tokens"]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens spelled out."""
        return self._ask("/detokenize", tokens=list(ids))["content"]

    def log_probabilities(self, ids: Sequence[int], size: int, chosen: int) -> list[float]:
        """Of every token of a vocabulary of this size, to come after these ids, in nats.

        It tells them only of a token that is a text of its own, so one such is `chosen` to be drawn.
        """
        answer = self._ask(
            "/completion", prompt=list(ids), n_predict=1, n_probs=size, logit_bias=[[chosen, 1000.0]]
        )
        found = {
            each["id"]: each["logprob"] for each in answer["completion_probabilities"][0]["top_logprobs"]
        }
        return [found[token] for token in range(size)]

    def _ask(self, path: str, **request: Any) -> Any:
        # A connection for each, because it is closed from the other side after five idle seconds.
        with closing(http.client.HTTPConnection(self._address, timeout=300)) as connection:
            connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"llama.cpp refuses {path}: {content.decode()}")
        return json.loads(content)
