"""What is wrong with a service, in one sentence with the next step."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from symptoms.errors import ServiceError

PAYMENT, TOO_OFTEN = 402, 429
PASSING = frozenset((PAYMENT, TOO_OFTEN, *range(500, 600)))
"""Statuses that may pass, so that the SDK asks again."""
GONE = frozenset((404, 410))
REFUSED = frozenset((401, 403))


def said_of_status(url: str, status: int) -> str:
    """A clause on what an answer of this status, 0 for none, is about."""
    if status == 0:
        return f"{url} does not answer, or the network between is down"
    if status == PAYMENT:
        return f"{url} wants to be paid first (status 402): add credit to the account that the key belongs to"
    if status in REFUSED:
        return f"{url} rejected the API key (status {status}): check TINKER_API_KEY and what it may do"
    if status == TOO_OFTEN:
        return f"{url} is asked more often than it allows (status 429): wait, or run less at once"
    if status in GONE:
        return f"{url} no longer has what it was asked for (status {status})"
    if status >= 500:
        return f"{url} has a fault of its own (status {status}), which mostly passes"
    return f"{url} did not accept a request (status {status})"


def no_answer(url: str, error: BaseException) -> str:
    """A sentence on a connection that failed, with what failed about it."""
    if any(isinstance(one, socket.gaierror) for one in _causes(error)):
        reason = "its name cannot be resolved; check the name and the network"
    else:
        reason = f"{type(error).__name__}; check the address and the network"
    return f"{url} does not answer: {reason}."


def may_answer_soon(url: str, error: BaseException) -> bool:
    """Whether a request that got no answer may get one when it is made again.

    Not where the name is unknown or the certificate is wrong, nor where nobody listens on this very machine:
    no server runs there then, and none will.
    """
    import httpx

    if not isinstance(error, httpx.TransportError) or isinstance(
        error, httpx.UnsupportedProtocol | httpx.LocalProtocolError
    ):
        return False
    if any(isinstance(one, socket.gaierror | ssl.SSLError) for one in _causes(error)):
        return False
    return not (isinstance(error, httpx.ConnectError) and _is_here(url))


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1", "0.0.0.0", "::") or host.startswith("127.")


def error_of(error: Exception, url: str) -> Exception:
    """What to raise for an error of the SDK, which hides statuses in ValueErrors; others stay as they are."""
    import tinker

    if isinstance(error, (ServiceError, tinker.RequestFailedError)):
        return error
    for cause in _causes(error):
        if isinstance(cause, ServiceError | tinker.RequestFailedError):
            return cause
        if isinstance(cause, tinker.APIStatusError):
            status = cause.status_code
            if status in (*PASSING, *REFUSED, 410):
                return StatusError(f"{said_of_status(url, status)}{detail_of(cause.body)}.", status)
            return cause
        if isinstance(cause, tinker.APIConnectionError):
            return ServiceError(no_answer(url, cause))
    return error


class StatusError(ServiceError):
    """A service that answered with a status other than success."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


def is_gone(error: BaseException) -> bool:
    """Whether the service says that it does not have, or no longer has, what it was asked for."""
    import tinker

    if isinstance(error, tinker.APIStatusError | StatusError):
        return (error.status if isinstance(error, StatusError) else error.status_code) in GONE
    return False


def detail_of(body: object) -> str:
    """A clause with what the service itself said, where it said something of one line."""
    if isinstance(body, dict):
        told = cast(dict[str, Any], body).get("detail")
        if isinstance(told, str) and told and "\n" not in told:
            return f"; it says: {told.rstrip('.')}"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
