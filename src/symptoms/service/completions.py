"""A run's exported model behind an OpenAI-compatible server such as vLLM's, asked as a Tinker service is.

`/v1/completions` gives what answers need where the server takes token ids, and tells the log-probabilities of
a prompt (`echo` with `logprobs`). vLLM does both. llama.cpp's server and LM Studio leave `echo` out, and
Ollama takes no token ids; the check at the beginning refuses them.

OPENAI_API_KEY, where it is set, goes to the address that is named and nowhere else: no redirect is followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from base_models import BaseModelError, resolve
from symptoms.errors import ServiceError
from symptoms.service.connection import Service, connect
from symptoms.service.faults import REFUSED, TOO_OFTEN, may_answer_soon
from symptoms.tokens import FileTokenizer, Tokenizer

if TYPE_CHECKING:
    import httpx
    import tinker

PREFIX = "openai+"
OPENAI = "openai"
REQUESTS_AT_ONCE = 64
"""Requests in flight: two descriptions' labels, so that the server always has some to batch."""
SECONDS, CONNECT_SECONDS = 600.0, 15.0
KEY = "OPENAI_API_KEY"
WAITS = (1.0, 4.0)
"""Seconds before the second try and the third, where a server or the way to it has a fault that may pass."""


@dataclass(frozen=True)
class Continuation:
    """A continuation, under the names of the SDK's SampledSequence."""

    tokens: list[int]
    stop_reason: str


@dataclass(frozen=True)
class Sampled:
    """An answer, under the name that the SDK's SampleResponse has for it."""

    sequences: list[Continuation]


@dataclass(frozen=True)
class CompletionsSampler:
    """What `TrainedModel` asks of the SDK's SamplingClient, by an OpenAI-compatible server."""

    http: httpx.Client
    model: str
    tokenizer: Tokenizer
    threads: ThreadPoolExecutor

    def get_tokenizer(self) -> Tokenizer:
        """The tokenizer of the folder that was exported."""
        return self.tokenizer

    def sample(
        self, prompt: tinker.ModelInput, num_samples: int, sampling_params: tinker.SamplingParams
    ) -> Future[Sampled]:
        """One greedy continuation without its stop string."""
        assert num_samples == 1, "answers are greedy"
        asked = {
            "max_tokens": sampling_params.max_tokens,
            "temperature": sampling_params.temperature,
            "stop": sampling_params.stop,
        }
        return self.threads.submit(self._sampled, prompt.to_ints(), asked)

    def compute_logprobs(
        self, prompt: tinker.ModelInput, prompt_logprobs_last_n: int
    ) -> Future[list[float | None]]:
        """The log-probabilities, in nats, of the last tokens of the prompt."""
        return self.threads.submit(self.logprobs, prompt.to_ints(), prompt_logprobs_last_n)

    def _sampled(self, prompt: list[int], asked: dict[str, Any]) -> Sampled:
        choice = self._asked(prompt, asked)
        ids = self.tokenizer.encode(str(choice["text"]), add_special_tokens=False, split_special_tokens=True)
        return Sampled([Continuation(ids, "length" if choice["finish_reason"] == "length" else "stop")])

    def logprobs(self, prompt: list[int], last: int) -> list[float | None]:
        """The same at once; raises ServiceError where the server does not tell them."""
        # One more token is asked for, as some servers take no fewer; its log-probability is the last.
        choice = self._asked(prompt, {"max_tokens": 1, "temperature": 0.0, "logprobs": 1, "echo": True})
        told = cast(list[float | None], (choice["logprobs"] or {}).get("token_logprobs") or [])
        if len(told) not in (len(prompt), len(prompt) + 1) or None in told[1:]:
            raise ServiceError(
                f"{self.http.base_url} does not tell the log-probabilities of a prompt (echo with logprobs "
                "of /v1/completions); serve the exported model with vLLM, or ask the checkpoint itself."
            )
        return told[: len(prompt)][-last:]

    def _asked(self, prompt: list[int], asked: dict[str, Any]) -> dict[str, Any]:
        document = _json(self.http, "POST", "completions", {"model": self.model, "prompt": prompt, **asked})
        try:
            return dict(document["choices"][0])
        except (KeyError, IndexError, TypeError) as error:
            raise ServiceError(f"{self.http.base_url} answers, but not as /v1/completions does.") from error


@dataclass(frozen=True)
class _Client:
    """What `TrainedModel` asks of the SDK's ServiceClient; whatever checkpoint it names, one is served."""

    sampler: CompletionsSampler

    def create_sampling_client(self, **_: str | None) -> Future[CompletionsSampler]:
        ready: Future[CompletionsSampler] = Future()
        ready.set_result(self.sampler)
        return ready


@contextmanager
def connect_to_ask(
    service: str | None, base_model: str | None, of_run: str | None = None
) -> Generator[Service, None, None]:
    """`connect`, and for `openai+URL[#MODEL]` a service that answers alone, by an exported model.

    `base_model` is then the exported folder, or a base on this machine that is a folder, for the tokenizer.
    The URL ends in `/v1`; MODEL may be left out where the server has one. Raises ServiceError where the
    server cannot be asked, or does not tell the log-probabilities of a prompt.
    """
    if service is None or not service.startswith(PREFIX):
        with connect(service, base_model, of_run=of_run) as connected:
            yield connected
        return
    import httpx

    url, _, wanted = service.removeprefix(PREFIX).partition("#")
    tokenizer = _tokenizer(base_model or "")
    limits = httpx.Limits(max_connections=REQUESTS_AT_ONCE)
    try:
        http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            limits=limits,
            headers=_key(),
            follow_redirects=False,
        )
    except httpx.InvalidURL as error:
        raise ServiceError(f"{service!r} is none; use {PREFIX}http://host:port/v1.") from error
    with http, ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        model, context = _model(http, wanted)
        sampler = CompletionsSampler(http, model, tokenizer, threads)
        probe = tokenizer.encode("Symptoms:", add_special_tokens=True, split_special_tokens=True)
        sampler.logprobs([*probe, *probe], 1)
        client = cast("tinker.ServiceClient", _Client(sampler))
        name = base_model or ""
        try:
            yield Service(OPENAI, url, name, client, {name: context}, {}, None, "")
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _key() -> dict[str, str]:
    """The header that shows the key, where there is one; raises ServiceError for what cannot be one."""
    key = os.environ.get(KEY, "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ServiceError(f"{KEY} holds characters that no key has; copy the whole key again.")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _tokenizer(base_model: str) -> Tokenizer:
    try:
        return FileTokenizer(resolve(base_model).path)
    except BaseModelError as error:
        raise ServiceError(str(error)) from error
    except OSError as error:
        raise ServiceError(
            f"{base_model} is no folder with tokenizer.json; name the exported one with --base-model."
        ) from error


def _model(http: httpx.Client, wanted: str) -> tuple[str, int | None]:
    """The name of the model to ask, and its context in tokens where the server tells it."""
    document = _json(http, "GET", "models", None)
    try:
        offered = {str(one["id"]): one.get("max_model_len") for one in document["data"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"{http.base_url} answers, but not as /v1/models does.") from error
    if not wanted and len(offered) == 1:
        [wanted] = offered
    if wanted not in offered:
        raise ServiceError(
            f"{http.base_url} has {', '.join(sorted(offered)) or 'no model'}; name one behind the address: "
            f"{PREFIX}{http.base_url}#{next(iter(offered), 'NAME')}."
        )
    return wanted, offered[wanted]


def _answer(http: httpx.Client, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
    """What comes of a request, made again where what is wrong may pass; the last outcome counts."""
    import httpx

    for wait in (*WAITS, None):
        try:
            answer = http.request(method, path, json=body)
        except httpx.HTTPError as error:
            # One that has computed for ten minutes would do no better the next time.
            is_slow = isinstance(error, httpx.ReadTimeout | httpx.ConnectTimeout)
            if wait is None or is_slow or not may_answer_soon(str(http.base_url), error):
                raise ServiceError(
                    f"No OpenAI-compatible server answers at {http.base_url} ({type(error).__name__}); "
                    "check the address, which ends in /v1."
                ) from error
        else:
            may_pass = answer.status_code == TOO_OFTEN or answer.status_code >= 500
            if wait is None or not may_pass:
                return answer
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _json(http: httpx.Client, method: str, path: str, body: dict[str, Any] | None) -> Any:
    answer = _answer(http, method, path, body)
    if answer.status_code in REFUSED:
        what = (
            "rejected the API key; check"
            if "Authorization" in http.headers
            else "wants an API key; put it in"
        )
        raise ServiceError(f"{http.base_url} {what} {KEY} (status {answer.status_code}).")
    if answer.status_code != 200:
        raise ServiceError(
            f"{http.base_url}{path} answers with status {answer.status_code}: {answer.text[:200]!r}; "
            "check the address and the model."
        )
    try:
        return answer.json()
    except ValueError as error:
        raise ServiceError(f"{http.base_url}{path} does not answer with JSON; check the address.") from error
