"""What a request can end in besides an answer."""

from __future__ import annotations

import logging
import math
import traceback

from pydantic import BaseModel, ConfigDict, ValidationError

from symptoms.errors import SymptomsError

STOPPING = "The service is stopping; start it again and ask then."
logger = logging.getLogger("symptoms.web")


class ApiError(SymptomsError):
    """An error that the client is told: an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
        """Seconds after which asking again makes sense."""

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


class ErrorAnswer(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(extra="forbid")

    error: str
    request_id: str


def sentence_of(error: ValidationError) -> str:
    """The first thing that is wrong with a body, without the body's values."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in first["loc"]) or "the body"
    # A name that the client made up may hold anything, so it is shown in ASCII.
    # The first letter alone: a pattern of lower-case letters would be another.
    wrong = first["msg"][:1].lower() + first["msg"][1:]
    return f"{place!a}: {wrong}; /openapi.json tells what is expected."


def log_without_words(error: Exception) -> None:
    """Log what went wrong and where, but no error's message: it could hold words of a description."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s was not expected:\n%s", type(error).__name__, places.rstrip())
