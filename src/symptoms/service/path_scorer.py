"""Named tokens behind many prompts, asked of our own server with one request for some dozen prompts.

Tinker's protocol scores named tokens along one prompt a request. Where thousands of texts are classified by
the same labels, the client spends more time on such requests than on anything else; our own server takes
several prompts at once (its `score_paths`, of which it tells with its base models).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, cast

from symptoms.errors import ServiceError
from symptoms.service.faults import (
    PASSING,
    StatusError,
    detail_of,
    may_answer_soon,
    no_answer,
    said_of_status,
)

if TYPE_CHECKING:
    import httpx

PROMPTS_AT_ONCE, TOKENS_AT_ONCE = 16, 2048
"""Most of one request: about what the server reads in two of its steps."""
CONNECT_SECONDS, ANSWER_SECONDS = 15.0, 600.0
WAITS = (1.0, 4.0, 16.0)
"""Seconds before another try, where a server or the way to it has a fault that may pass."""


@dataclass(frozen=True)
class Path:
    """Tokens to put behind a prompt, and for each place along them, the end included, which tokens to score.

    `named` has one more entry than `tokens`: what could stand at that place. It is empty where another
    path has asked already.
    """

    tokens: tuple[int, ...]
    named: tuple[tuple[int, ...], ...]


Paths = tuple[Path, ...]
PathLogprobs = list[float]
"""Of one prompt: the log-probabilities, in nats, of all that the paths name, in their order."""


class PathRequests:
    """The way to a server that scores paths; may be used by several threads."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def close(self) -> None:
        """End what connections there are."""
        if "_http" in self.__dict__:
            self._http.close()

    def scored(self, sampler_id: str, prompts: Sequence[Sequence[int]], paths: Paths) -> list[PathLogprobs]:
        """Of each prompt; raises ServiceError with one sentence where the server does not answer so."""
        answer = self._answer(
            {
                "sampling_session_id": sampler_id,
                "prompts": prompts,
                "paths": [{"tokens": path.tokens, "named": path.named} for path in paths],
            }
        )
        told = _content(answer)
        if answer.status_code != 200:
            said = said_of_status(self._url, answer.status_code)
            raise StatusError(f"{said}{detail_of(told)}.", answer.status_code)
        try:
            return cast(list[PathLogprobs], told["logprobs"])
        except (KeyError, TypeError) as error:
            raise ServiceError(f"{self._url} answers, but not as tinker_local does.") from error

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        return httpx.Client(
            base_url=self._url,
            headers={"X-API-Key": self._key},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )

    def _answer(self, body: dict[str, Any]) -> httpx.Response:
        import httpx

        for wait in (*WAITS, None):
            try:
                answer = self._http.post("/api/v1/score_paths", json=body)
            except httpx.HTTPError as error:
                # What took ten minutes would take them again.
                is_slow = isinstance(error, httpx.ReadTimeout)
                if wait is None or is_slow or not may_answer_soon(self._url, error):
                    raise ServiceError(no_answer(self._url, error)) from error
            else:
                if wait is None or answer.status_code not in PASSING:
                    return answer
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")


def _content(answer: httpx.Response) -> Any:
    """What the JSON of an answer holds, None where it has none, as where a proxy speaks."""
    try:
        return answer.json()
    except ValueError:
        return None


@dataclass(eq=False)
class _Batch:
    """Prompts with the same paths, of one request."""

    paths: Paths
    prompts: list[Sequence[int]] = field(default_factory=list[Sequence[int]])
    num_tokens: int = 0
    scores: Future[list[PathLogprobs]] = field(default_factory=lambda: Future[list[PathLogprobs]]())

    @property
    def is_full(self) -> bool:
        return len(self.prompts) >= PROMPTS_AT_ONCE or self.num_tokens >= TOKENS_AT_ONCE


class PathScorer:
    """One sampler's scores. What is submitted waits until a request is full, or someone waits for it."""

    def __init__(self, requests: PathRequests, sampler_id: str) -> None:
        self._requests, self._sampler_id = requests, sampler_id
        self._lock = Lock()
        self._filling: _Batch | None = None

    def submit(self, prompt: Sequence[int], paths: Paths) -> Callable[[], PathLogprobs]:
        """Ask about a prompt; waits, and raises ServiceError, when what it returns is called."""
        with self._lock:
            if self._filling is not None and self._filling.paths != paths:
                self._send(self._filling)
            batch = self._filling or _Batch(paths)
            self._filling = batch
            place = len(batch.prompts)
            batch.prompts.append(prompt)
            batch.num_tokens += len(prompt)
            if batch.is_full:
                self._send(batch)

        def wait() -> PathLogprobs:
            with self._lock:
                if self._filling is batch:
                    self._send(batch)
            return batch.scores.result()[place]

        return wait

    def _send(self, batch: _Batch) -> None:
        self._filling = None

        def ask() -> None:
            try:
                scores = self._requests.scored(self._sampler_id, batch.prompts, batch.paths)
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                batch.scores.set_exception(error)
            else:
                batch.scores.set_result(scores)

        # A daemon, so that nobody who leaves waits for an answer that is under way.
        Thread(target=ask, daemon=True).start()
