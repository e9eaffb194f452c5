"""Connect to a Tinker service, wherever it lives, and say at once what is wrong when that fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dotenv import dotenv_values

from base_models import (
    DEFAULT_BASE,
    BaseModelError,
    ModelShape,
    known_models,
    resolve,
    shape_of_config,
    shape_on_the_hub,
)
from symptoms.errors import ServiceError
from symptoms.imports import collector_at_rest
from symptoms.service import sdk
from symptoms.service.capabilities import capabilities
from symptoms.service.faults import is_gone
from symptoms.service.local_server import LocalServer
from symptoms.service.model_folder import digest_of_weights, tokenizer_says_all
from symptoms.service.offered import check_offered
from symptoms.service.path_scorer import PathRequests, PathScorer
from symptoms.service.watch import Watch
from symptoms.tokens import FileTokenizer, Tokenizer, as_tokenizer

if TYPE_CHECKING:
    import tinker

T = TypeVar("T")

FINISH_SECONDS = 5.0
"""How long a service that is not our own is given to finish a session, which it also does by itself later."""
LOCAL, HOSTED = "local", "hosted"


@dataclass(frozen=True)
class Service:
    """A Tinker service that has answered. `kind` is "local", "hosted", "url" or "openai"."""

    kind: str
    url: str
    base_model: str
    client: tinker.ServiceClient
    offered: dict[str, int | None]
    """Base models by name with their context length in tokens, where the service tells it."""
    told: Mapping[str, Any]
    """What the service tells of the base model; ours has its shape and the type that it trains in, too."""
    server: LocalServer | None
    """The process behind a local service."""
    key: str = field(repr=False)
    watch: Watch | None = field(default=None, repr=False)
    """What tells of waiting for a service that is not our own, and ends it."""
    path_requests: PathRequests | None = field(default=None, repr=False)
    """The way to a server that scores paths, as ours does."""

    @contextmanager
    def session(self) -> Generator[Service, None, None]:
        """The same service with a session of its own, at whose end it frees all that was made in it."""
        import tinker

        client = tinker.ServiceClient(base_url=self.url, api_key=self.key)
        with _finished(client, self.server):
            yield replace(self, client=_watched(client, self.watch))

    @property
    def is_ours(self) -> bool:
        """Whether it is our own server: started here, or one that says at its URL what only ours says."""
        return self.kind == LOCAL or "training_dtype" in self.told

    @property
    def is_lost(self) -> bool:
        """Whether the local server ended while it was in use."""
        return self.server is not None and self.server.died is not None

    @property
    def context_length(self) -> int | None:
        """Tokens that the base model takes, the answer's included; None where the service does not tell."""
        return self.offered.get(self.base_model)

    def tokenizer(self, model: tinker.TrainingClient | tinker.SamplingClient | None = None) -> Tokenizer:
        """The tokenizer of a client's model, or of the base; raises ServiceError if it cannot be loaded."""
        if model is None:
            # Only a training client is told by the service where the tokenizer lies; its smallest
            # adapter is never trained.
            return self.tokenizer(
                sdk.resolved(self.client.create_lora_training_client(base_model=self.base_model, rank=1))
            )
        try:
            if self.kind == LOCAL and tokenizer_says_all(folder := _tokenizer_folder(model)):
                # The SDK would load the same file, after importing transformers for seconds.
                return FileTokenizer(folder)
            return as_tokenizer(model.get_tokenizer())
        except OSError as error:
            raise ServiceError(
                f"The tokenizer of {self.base_model} could not be loaded; "
                "it needs the model hub or a local copy."
            ) from error

    def path_scorer(self, sampler: tinker.SamplingClient) -> PathScorer | None:
        """What scores labels of many descriptions at once with a sampler; None where that is not there."""
        if self.path_requests is None:
            return None
        known_as = sdk.sampler_id(sampler)
        return None if known_as is None else PathScorer(self.path_requests, known_as)

    def base_model_sha256(self, model: tinker.TrainingClient) -> str | None:
        """A digest of the base weights and their configuration; None on services of others."""
        return digest_of_weights(_tokenizer_folder(model)) if self.kind == LOCAL else None

    def find_shape(self) -> ModelShape | None:
        """The base model's width and family; None where neither the service nor the model hub tells."""
        return self._shape

    @cached_property
    def _shape(self) -> ModelShape | None:
        told = shape_of_config(self.told)
        return told if told is not None or self.kind == LOCAL else shape_on_the_hub(self.base_model)

    @property
    def training_dtype(self) -> str | None:
        """The type that training computes in, such as bfloat16; None where the service does not tell."""
        return self.told.get("training_dtype")

    def delete_checkpoints(self, paths: Sequence[str]) -> None:
        """Delete checkpoints; one that is gone already is as it should be."""
        import tinker

        for path in paths:
            try:
                self._rest.delete_checkpoint_from_tinker_path(path).result()
            except (tinker.NotFoundError, ServiceError) as error:
                if not is_gone(error):
                    raise

    @cached_property
    def _rest(self) -> tinker.RestClient:
        return _watched(sdk.rest_client(self.client, self.url, self.key), self.watch)


def choose_service(wanted: str | None) -> str:
    """`local`, `hosted` or a URL: as told, else by the key and URL in the environment or `.env`."""
    if wanted:
        return wanted
    if not _setting("TINKER_API_KEY"):
        if _setting("TINKER_BASE_URL"):
            raise ServiceError("TINKER_BASE_URL is set and TINKER_API_KEY is not; set both, or --service.")
        return LOCAL
    return _setting("TINKER_BASE_URL") or HOSTED


def local_base_model() -> str:
    """What the local service takes where no model is named: SYMPTOMS_BASE_MODEL, else the default base."""
    return _setting("SYMPTOMS_BASE_MODEL") or DEFAULT_BASE


def key_source() -> str | None:
    """Where the API key is set: `environment`, `.env`, or None where it is not."""
    if os.environ.get("TINKER_API_KEY"):
        return "environment"
    return ".env" if _setting("TINKER_API_KEY") else None


def offered_models(service: str | None = None) -> tuple[str, dict[str, int | None]]:
    """The URL of a service that answers, and the base models on offer with their context lengths.

    A local server is started for it and stopped after. Raises ServiceError where none answers.
    """
    chosen = choose_service(service)
    if chosen == LOCAL:
        name = local_base_model()
        _check_here(name)
        with LocalServer(name) as server:
            return server.url, _context_lengths(capabilities(server.url, server.api_key))
    url, key = _address_and_key(chosen)
    return url, _context_lengths(capabilities(url, key))


@contextmanager
def connect(
    service: str | None = None,
    base_model: str | None = None,
    preferred: str | None = None,
    of_run: str | None = None,
    needs_base: bool = True,
) -> Generator[Service, None, None]:
    """A service for the length of a `with` block; a local server is started for it and stopped after.

    `base_model` is what the user asked for. Without it, the local server takes `local_base_model()`, and
    other services take `preferred`. `of_run` is the run that was trained on it, for what is said where it
    is no longer on offer; with `needs_base` False that does not matter, as where checkpoints are deleted.
    Raises ServiceError with one sentence where no service answers, the key is refused, or the model is not
    on offer; all of it before anything is sent but the key.
    """
    # Symptom text is sensitive, and the SDK's telemetry would send traces of it elsewhere.
    os.environ.setdefault("TINKER_TELEMETRY", "0")
    chosen = choose_service(service)
    server: LocalServer | None = None
    with ExitStack() as stack:
        if chosen == LOCAL:
            name = base_model or local_base_model()
            _check_here(name)
            server = stack.enter_context(LocalServer(name))
            with collector_at_rest():
                import tinker  # takes seconds, in which the server starts

            url, key, model = server.url, server.api_key, server.base_model
            # A proxy has no business between this process and its own child.
            exempt = [host for host in os.environ.get("NO_PROXY", "").split(",") if host]
            os.environ["NO_PROXY"] = ",".join(dict.fromkeys([*exempt, "127.0.0.1"]))
        else:
            with collector_at_rest():
                url, key = _address_and_key(chosen)
                import tinker

            model = base_model or preferred or ""
        told = capabilities(url, key)
        offered = _context_lengths(told)
        if needs_base:
            check_offered(url, model, offered, of_run)
        for name in ("api_future_impl", "retry_handler"):
            logging.getLogger(f"tinker.lib.{name}").addFilter(_is_news)
        watch = stack.enter_context(Watch(url)) if server is None else None
        client = tinker.ServiceClient(base_url=url, api_key=key)
        stack.enter_context(_finished(client, server))
        if server is not None:
            server.interrupt_when_it_dies()
        kind = chosen if chosen in (LOCAL, HOSTED) else "url"
        try:
            shown = _watched(client, watch)
            about = told.get(model, {})
            paths = PathRequests(url, key) if about.get("scores_paths") else None
            if paths is not None:
                stack.callback(paths.close)
            yield Service(kind, url, model, shown, offered, about, server, key, watch, paths)
        except KeyboardInterrupt:
            if server is not None and server.died:
                raise ServiceError(server.died) from None
            raise


def _check_here(name: str) -> None:
    """Raises ServiceError for a known model that was not got yet; what else there is the server finds."""
    if name in known_models():
        try:
            resolve(name)
        except BaseModelError as error:
            raise ServiceError(str(error)) from error


def _is_news(record: logging.LogRecord) -> bool:
    # The SDK warns whenever an answer takes longer than one poll, which is nothing to warn of; and of each
    # request that was under way when its session was left, as when Ctrl-C ends what is served. Where a
    # session ends otherwise, the error that is raised says so once.
    told = record.getMessage()
    return not any(part in told for part in ("because of try_again", "holder is closed", "session is over"))


def _watched(client: T, watch: Watch | None) -> T:
    return client if watch is None else cast(T, watch.over(client))


@contextmanager
def _finished(client: tinker.ServiceClient, server: LocalServer | None) -> Generator[None, None, None]:
    """Finish the client's session at the end of the block, if the service is there to do it."""
    failed = True
    try:
        yield
        failed = False
    finally:
        # A server that is gone would be asked to finish the session for minutes.
        if server is None:
            with suppress(Exception):
                sdk.close(client, "errored" if failed else "success", FINISH_SECONDS)
        elif server.died is None:
            sdk.close(client)


def _tokenizer_folder(model: tinker.TrainingClient | tinker.SamplingClient) -> Path:
    """Where our own server says that a model's tokenizer lies."""
    import tinker

    if isinstance(model, tinker.SamplingClient):
        return Path(model.get_base_model())
    return Path(model.get_info().model_data.tokenizer_id or "")


def _setting(name: str) -> str:
    """A setting from the environment, or from a `.env` file in the working directory."""
    return os.environ.get(name) or dotenv_values(".env").get(name) or ""


def _address_and_key(chosen: str) -> tuple[str, str]:
    """Of a service that is not started here; raises ServiceError for what cannot be either."""
    if chosen != HOSTED and not chosen.startswith(("http://", "https://")):
        raise ServiceError(f"--service {chosen!r} is none; use local, hosted, or http://host:port.")
    key = _setting("TINKER_API_KEY")
    if not key:
        raise ServiceError("There is no TINKER_API_KEY; put it in .env, or use --service local.")
    if not key.isascii() or not key.startswith(("tml-", "eyJ")):
        raise ServiceError("TINKER_API_KEY does not begin with 'tml-'; copy the whole key again.")
    return sdk.hosted_url() if chosen == HOSTED else chosen.rstrip("/"), key


def _context_lengths(told: Mapping[str, Mapping[str, Any]]) -> dict[str, int | None]:
    return {name: model.get("max_context_length") for name, model in told.items()}
