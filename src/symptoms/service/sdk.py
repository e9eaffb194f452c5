"""Where versions of the Tinker SDK differ: 0.38 is the one that is pinned, 0.25 the oldest that is driven.

Some servers speak to no other than an older one; the version is a choice of the environment.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from inspect import signature
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tinker

Status = Literal["success", "errored"]
HOSTED_BEFORE = "https://tinker.thinkingmachines.dev/services/tinker-prod"


def resolved(made: Any) -> Any:
    """The client itself: constructors answer with its future since 0.38, and with the client before."""
    return made.result() if hasattr(made, "result") else made


def made_within(seconds: float, make: Callable[[], Any]) -> Any:
    """The client that `make` makes, or its own error; raises TimeoutError where that takes longer.

    Before 0.38 a constructor itself waits, for as long as the SDK retries, which can be minutes.
    """
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(resolved(make()))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            outcome.set_exception(error)

    # A daemon, as nothing ends the SDK's waiting.
    Thread(target=run, daemon=True).start()
    return outcome.result(seconds)


def hosted_url() -> str:
    """Where the SDK looks for hosted Tinker; its older versions kept that to themselves."""
    try:
        from tinker.lib.base_url import DEFAULT_BASE_URL
    except ImportError:
        return HOSTED_BEFORE
    return DEFAULT_BASE_URL


def rest_client(service: tinker.ServiceClient, url: str, key: str) -> tinker.RestClient:
    """The client of lists and deletions; before 0.38 only a service client could make it."""
    import tinker

    if hasattr(tinker, "RestClient"):
        return tinker.RestClient(base_url=url, api_key=key)
    return service.create_rest_client()  # pyright: ignore[reportDeprecated]


def sampler_id(sampler: tinker.SamplingClient) -> str | None:
    """By what a service knows a sampler; None where the SDK does not tell it, as 0.25 does not."""
    if not hasattr(sampler, "get_sampler_handle"):
        return None
    handle = json.loads(base64.urlsafe_b64decode(sampler.get_sampler_handle()))
    return handle.get("sampling_session_id")


def last_logprobs(sampler: tinker.SamplingClient, tokens: Sequence[int], count: int) -> Any:
    """The future of a text's log-probabilities, of which the last `count` are wanted.

    Versions that cannot be told how many score all, which takes longer and ends alike.
    """
    import tinker

    prompt = tinker.ModelInput.from_ints(list(tokens))
    if "prompt_logprobs_last_n" in signature(sampler.compute_logprobs).parameters:
        return sampler.compute_logprobs(prompt, prompt_logprobs_last_n=count)
    return sampler.compute_logprobs(prompt)


def close(service: tinker.ServiceClient, status: Status = "success", seconds: float | None = None) -> None:
    """End the session, within `seconds`; before 0.38 it ended when the server had not heard for a while."""
    if hasattr(service, "close"):
        service.close(status).result(timeout=seconds)
