"""Errors as OpenAI's clients read them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

PREFIX = "/v1"
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
CODES = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}


def error_body(status: int, sentence: str) -> dict[str, Any]:
    """The object of an error."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": sentence, "type": kind, "param": None, "code": CODES.get(status)}}


def openai_problem(status: int, sentence: str) -> JSONResponse:
    """One sentence with an HTTP status."""
    return JSONResponse(error_body(status, sentence), status_code=status)
