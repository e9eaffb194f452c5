"""What a request can end in besides an answer."""

import logging
import math
import traceback
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from symptoms.classifier import LanguageNotice
from symptoms.errors import SymptomsError

STOPPING = "The service is stopping; start it again and ask then."
logger = logging.getLogger("symptoms.web")


class ApiError(SymptomsError):
    """An error that the client is told: an HTTP status and one sentence."""

    def __init__(
        self,
        status: int,
        sentence: str,
        retry_after: float | None = None,
        language_notice: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
        """Seconds after which asking again makes sense."""
        self.language_notice = language_notice
        """What is said beside the error of a text in a language that is not read, with helplines, as JSON."""

    def beside(self, language_notice: dict[str, Any] | None) -> "ApiError":
        """The same error with the notice of the text that it is about."""
        return ApiError(self.status, str(self), self.retry_after, language_notice)

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in whole seconds, at least 1; empty where `retry_after` is None."""
        return {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


class ErrorAnswer(BaseModel):
    """The body of every error.

    `language_notice` is there alone where the error is of a text in a language that the crisis screen does
    not read: the helplines do not wait for a model that is busy.
    """

    model_config = ConfigDict(extra="forbid")

    error: str
    request_id: str
    language_notice: LanguageNotice | None = None


EXPECTED = {
    "missing": "{place} is missing; add it.",
    "extra_forbidden": "{place} is no field of this request; leave it out.",
    "model_type": 'The body has to be an object of JSON, such as {{"text": "..."}}.',
    "string_type": "{place} has to be text.",
    "list_type": "{place} has to be a list of texts.",
    "bool_type": "{place} has to be true or false.",
    "string_pattern_mismatch": "{place} has to be a country code of two letters, such as GB.",
    "too_short": "{place} has to hold at least one text.",
    "too_long": "{place} may hold at most {max_length} texts; send the others in another request.",
}
"""What to say for each kind of fault that pydantic can find in a body."""


def sentence_of(error: ValidationError) -> str:
    """The first thing that is wrong with a body, without the body's values."""
    first = error.errors(include_url=False, include_input=False)[0]
    steps = [f"'{step}'" if isinstance(step, str) else f"text {step + 1}" for step in first["loc"]]
    # A name that the client made up may hold anything, so it is shown in ASCII.
    place = ascii(", ".join(steps))[1:-1] if steps else "The body"
    sentence = EXPECTED.get(first["type"], "{place} is not of the form that /openapi.json describes.")
    told = sentence.format(place=place, **first.get("ctx", {}))
    return told[:1].upper() + told[1:]


def log_without_words(error: Exception) -> None:
    """Log what went wrong and where, but no error's message: it could hold words of a description."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s was not expected:\n%s", type(error).__name__, places.rstrip())
