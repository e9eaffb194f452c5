"""Which base models a service has: what it is asked first, so that its faults are met here first."""

import sys
import time
from typing import Any, cast

from symptoms.errors import ServiceError
from symptoms.service.faults import PASSING, PAYMENT, REFUSED, may_answer_soon, no_answer, said_of_status

ANSWER_SECONDS = 15.0
TRY_SECONDS = 30.0
"""How long a service is asked again that does not answer, or not now: what a restart behind a proxy takes."""
FIRST_WAIT = 1.0
"""Seconds before the second try; each wait is twice the one before."""


class _NotNowError(ServiceError):
    """A fault that may have passed in some seconds."""


def capabilities(url: str, key: str) -> dict[str, dict[str, Any]]:
    """What the service tells of each base model, by name.

    While it has a fault that may pass, it is asked again for TRY_SECONDS, as a line on standard error says.
    Raises ServiceError where it does not answer in that time, and at once where waiting would not help.
    """
    began, wait, is_told = time.monotonic(), FIRST_WAIT, False
    while True:
        try:
            return _asked(url, key)
        except _NotNowError as error:
            left = began + TRY_SECONDS - time.monotonic()
            if left <= 0:
                raise
            if not is_told:
                said = str(error).removesuffix(".")
                sys.stderr.write(f"{said}; trying again for {left:.0f} s, Ctrl-C ends it now\n")
                is_told = True
            time.sleep(min(wait, left))
            wait *= 2


def _asked(url: str, key: str) -> dict[str, dict[str, Any]]:
    """The answer to one request, without the SDK, which would retry a wrong address for minutes."""
    import httpx

    try:
        answer = httpx.get(
            f"{url}/api/v1/get_server_capabilities", headers={"X-API-Key": key}, timeout=ANSWER_SECONDS
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        kind = _NotNowError if may_answer_soon(url, error) else ServiceError
        raise kind(f"No Tinker server answers: {no_answer(url, error)}") from error
    status = answer.status_code
    if status in REFUSED:
        raise ServiceError(f"{url} rejected the API key; check TINKER_API_KEY.")
    if status in PASSING:
        # Who has to pay is seldom there at once.
        kind = ServiceError if status == PAYMENT else _NotNowError
        raise kind(f"{said_of_status(url, status)}.")
    if status != 200:
        raise ServiceError(f"{url} is no Tinker server (status {status}); check the address.")
    try:
        models = cast(list[dict[str, Any]], answer.json()["supported_models"])
        # The SDK allows for models without a name, by which none can be chosen.
        return {str(model["model_name"]): model for model in models if model.get("model_name")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"{url} answers, but not as a Tinker server does; check the address.") from error
