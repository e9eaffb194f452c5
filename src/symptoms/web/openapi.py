"""The API described in OpenAPI 3.1: openapi.json, with its schemas taken from the bodies themselves."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from symptoms import __version__
from symptoms.disclaimer import DISCLAIMER
from symptoms.web import bodies
from symptoms.web.problems import ErrorAnswer

SCHEMAS = "#/components/schemas/"
FOR_ALL = (401, 403)
"""Statuses that every address may answer with."""
WITH_RETRY = (429, 503, 504)


@cache
def openapi_document() -> dict[str, Any]:
    """The document; the caller must not change it.

    In openapi.json an operation says by its own keys what it `asks` with an `example`, what it `answer`s and
    which `problems` it may have; here these become what OpenAPI has for them.
    """
    text = files("symptoms.web").joinpath("openapi.json").read_text("utf-8")
    text = text.replace("MAX_BATCH", str(bodies.MAX_BATCH))
    document: dict[str, Any] = json.loads(text.replace("MAX_KIB", str(bodies.MAX_BODY_BYTES // 1024)))
    sentences = document.pop("problems")
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ErrorAnswer, "serialization")]
    for operation in (one for methods in document["paths"].values() for one in methods.values()):
        answer, asks = operation.pop("answer"), operation.pop("asks", None)
        modes.append((getattr(bodies, answer), "serialization"))
        operation["responses"] = {"200": {"description": "The answer.", **_content(answer)}}
        for status in sorted((*operation.pop("problems"), *FOR_ALL)):
            operation["responses"][str(status)] = _problem(status, sentences[str(status)])
        if asks is not None:
            modes.append((getattr(bodies, asks), "validation"))
            shown = {"examples": {"one": {"value": operation.pop("example")}}}
            operation["requestBody"] = {"required": True, **_content(asks, shown)}
    _, definitions = models_json_schema(modes, ref_template=SCHEMAS + "{model}")
    document["info"] |= {
        "version": __version__,
        "description": f"Which condition a description resembles. {DISCLAIMER}",
    }
    document["components"]["schemas"] = definitions["$defs"]
    return document


def _problem(status: int, sentence: str) -> dict[str, Any]:
    seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    headers = {"headers": {"Retry-After": seconds}} if status in WITH_RETRY else {}
    return {"description": sentence, **_content(ErrorAnswer.__name__), **headers}


def _content(kind: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": SCHEMAS + kind}, **(more or {})}}}
