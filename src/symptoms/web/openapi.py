"""The API described in OpenAPI 3.1, with its schemas taken from the bodies themselves."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from symptoms import __version__
from symptoms.disclaimer import DISCLAIMER
from symptoms.web.bodies import (
    MAX_BATCH,
    MAX_BODY_BYTES,
    AssessmentAnswer,
    AssessRequest,
    BatchAnswer,
    BatchRequest,
    HealthAnswer,
    ModelAnswer,
    RunAnswer,
    RunsAnswer,
    ScreenAnswer,
    ScreenRequest,
)
from symptoms.web.problems import ErrorAnswer

SCHEMAS = "#/components/schemas/"
REQUESTS: tuple[type[BaseModel], ...] = (AssessRequest, BatchRequest, ScreenRequest)
ANSWERS: tuple[type[BaseModel], ...] = (
    AssessmentAnswer,
    BatchAnswer,
    ScreenAnswer,
    ModelAnswer,
    RunsAnswer,
    RunAnswer,
    HealthAnswer,
    ErrorAnswer,
)
PROBLEMS = {
    400: "The body is not JSON.",
    401: "A key is needed.",
    403: "The host's name or the origin is not allowed.",
    404: "There is no such run.",
    408: "The body did not arrive in time.",
    413: f"The body is longer than {MAX_BODY_BYTES // 1024} KiB.",
    415: "The body is not sent as application/json.",
    422: "The request is not of the form below, or the description cannot be read.",
    429: "Too many descriptions were sent.",
    503: "Too many descriptions are waiting, or the model could not be asked.",
    504: "The model took too long.",
}
FOR_A_BODY = (400, 408, 413, 415, 422, 429)
FOR_THE_MODEL = (503, 504)
WITH_RETRY = (429, 503, 504)
SLEEP = {"text": "I have not slept properly for weeks and I cannot stop worrying.", "country": "GB"}
SEVERAL = {"texts": ["I count every tile.", "Crowds make my heart race."], "country": None}


@cache
def openapi_document() -> dict[str, Any]:
    """The document; the caller must not change it."""
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    modes.extend((kind, "validation") for kind in REQUESTS)
    modes.extend((kind, "serialization") for kind in ANSWERS)
    _, definitions = models_json_schema(modes, ref_template=SCHEMAS + "{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mental Health Symptom Classifier",
            "version": __version__,
            "description": f"Which condition a description resembles. {DISCLAIMER}",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/assess": {
                "post": _operation(
                    "assess",
                    "Assess one description",
                    "The crisis screen reads the text first; its notice is there whatever the model does.",
                    AssessmentAnswer,
                    (*FOR_A_BODY, *FOR_THE_MODEL),
                    _request_body(AssessRequest, SLEEP),
                )
            },
            "/api/assess/batch": {
                "post": _operation(
                    "assess_batch",
                    f"Assess up to {MAX_BATCH} descriptions",
                    "Answers in the descriptions' order, each with an assessment or an error.",
                    BatchAnswer,
                    (*FOR_A_BODY, *FOR_THE_MODEL),
                    _request_body(BatchRequest, SEVERAL),
                )
            },
            "/api/screen": {
                "post": _operation(
                    "screen",
                    "Only look for danger in a description",
                    "The crisis notice for a country, or null, without asking a model.",
                    ScreenAnswer,
                    FOR_A_BODY,
                    _request_body(ScreenRequest, SLEEP),
                )
            },
            "/api/model": {
                "get": _operation("model", "What answers", "The run or checkpoint.", ModelAnswer, ())
            },
            "/api/runs": {
                "get": _operation("runs", "Training runs", "The newest first, 50 at most.", RunsAnswer, ())
            },
            "/api/runs/{name}": {
                "get": {
                    **_operation(
                        "run",
                        "A training run, step by step",
                        "Poll it with `after` set to the last step that is known, to follow a training.",
                        RunAnswer,
                        (404, 422),
                    ),
                    "parameters": [
                        {
                            "name": "name",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "string", "minLength": 1},
                            "example": "mine",
                        },
                        {
                            "name": "after",
                            "in": "query",
                            "description": "Only steps after this one.",
                            "schema": {"type": "integer", "minimum": 0, "maximum": 999999999, "default": 0},
                            "example": 120,
                        },
                    ],
                }
            },
            "/healthz": {
                "get": {
                    **_operation("health", "Whether the server answers", "Needs no key.", HealthAnswer, ()),
                    "security": [],
                }
            },
        },
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        # None is needed on loopback.
        "security": [{}, {"key": []}],
    }


def _operation(
    name: str,
    summary: str,
    description: str,
    answer: type[BaseModel],
    problems: tuple[int, ...],
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    responses = {"200": {"description": "The answer.", **_content(answer)}}
    for status in sorted((*problems, 401, 403)):
        response: dict[str, Any] = {"description": PROBLEMS[status], **_content(ErrorAnswer)}
        if status in WITH_RETRY:
            response["headers"] = {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
            }
        responses[str(status)] = response
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "description": description,
        "responses": responses,
    }
    return operation if body is None else {**operation, "requestBody": body}


def _request_body(kind: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": SCHEMAS + kind.__name__},
                "examples": {"one": {"value": example}},
            }
        },
    }


def _content(kind: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": SCHEMAS + kind.__name__}}}}
