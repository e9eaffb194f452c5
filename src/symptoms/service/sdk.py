"""Where versions of the Tinker SDK differ: 0.38 is the one that is pinned, 0.25 the oldest that is driven.

Some servers speak to no other than an older one; the version is a choice of the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tinker

Status = Literal["success", "errored"]
HOSTED_BEFORE = "https://tinker.thinkingmachines.dev/services/tinker-prod"


def resolved(made: Any, seconds: float | None = None) -> Any:
    """The client itself: constructors answer with its future since 0.38, and with the client before."""
    return made.result(seconds) if hasattr(made, "result") else made


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

    if hasattr(tinker.ServiceClient, "close"):
        return tinker.RestClient(base_url=url, api_key=key)
    return service.create_rest_client()  # pyright: ignore[reportDeprecated]


def close(service: tinker.ServiceClient, status: Status = "success", seconds: float | None = None) -> None:
    """End the session, within `seconds`; before 0.38 it ended when the server had not heard for a while."""
    if hasattr(service, "close"):
        service.close(status).result(timeout=seconds)
