"""The routes of OpenAI's API, as an application of its own whose errors have OpenAI's shape."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tinker_local.domain.generation import GenerationResult, SampledSequence
from tinker_local.errors import NotFoundError, RequestError
from tinker_local.loading import BaseModel
from tinker_local.server.answering import error_handlers, state_of, waited_for
from tinker_local.server.openai.answers import (
    ChatForm,
    CompletionForm,
    Envelope,
    Form,
    Logprobs,
    Piece,
    Usage,
)
from tinker_local.server.openai.bodies import (
    ChatBody,
    CompletionBody,
    GenerationBody,
    fault_in_words,
    is_checkpoint,
)
from tinker_local.server.openai.chat_template import chat_prompt
from tinker_local.server.openai.generating import NewTokens, RunningGeneration
from tinker_local.server.openai.texts import GrowingText
from tinker_local.server.problems import error_body, openai_problem
from tinker_local.service.server_state import ServerState
from tinker_local.wire.requests import parse_json

logger = logging.getLogger(__name__)

WENT_WRONG = "Something went wrong that should not have; the server's log tells where."


def openai_app(state: ServerState) -> Starlette:
    """Everything below /v1."""
    app = Starlette(
        routes=[
            Route("/models", _models),
            Route("/models/{model:path}", _model),
            Route("/completions", _completions, methods=["POST"]),
            Route("/chat/completions", _chat_completions, methods=["POST"]),
        ],
        exception_handlers={**error_handlers(openai_problem), HTTPException: _http_error},
    )
    app.state.server = state
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) and status >= 500 else None
    return openai_problem(status, detail or f"{request.method} {request.url.path} is not offered here.")


async def _models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": list(_all_models(state_of(request)).values())})


async def _model(request: Request) -> Response:
    # Between client and server the two slashes of a path may have become one.
    name = request.path_params["model"]
    found = _all_models(state_of(request)).get(name.replace("tinker:/", "tinker://").replace(":///", "://"))
    if found is None:
        raise NotFoundError(f"There is no model {name!r} here; GET /v1/models lists those there are.")
    return JSONResponse(found)


def _all_models(state: ServerState) -> dict[str, dict[str, Any]]:
    """The base models, and the checkpoints on them that were saved to sample from, the newest first."""

    def entry(name: str, base: BaseModel, created: int) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "tinker_local",
            "root": base.name,
            "max_model_len": base.model.config.max_position_embeddings,
        }

    found = {name: entry(name, base, 0) for name, base in state.models.items()}
    for info in sorted(state.store.list(), key=lambda info: info.created, reverse=True):
        base = state.models.get(info.base_model)
        if base is not None and "/sampler_weights/" in info.path:
            found[info.path] = entry(info.path, base, int(info.created.timestamp()))
    return found


def _base_of(state: ServerState, model: str) -> BaseModel:
    checkpoint = is_checkpoint(model)
    return state.samplers.base_of(None if checkpoint else model, model if checkpoint else None)


async def _completions(request: Request) -> Response:
    body = parse_json(CompletionBody, await request.body(), fault_in_words)
    base = _base_of(state_of(request), body.model)
    # In a thread, since a long text takes a while.
    prompts = [
        prompt if isinstance(prompt, list) else await asyncio.to_thread(_tokens, base, prompt, True)
        for prompt in body.prompts
    ]
    return await _answered(request, body, base, prompts, CompletionForm())


async def _chat_completions(request: Request) -> Response:
    body = parse_json(ChatBody, await request.body(), fault_in_words)
    base = _base_of(state_of(request), body.model)
    messages = [message.as_template_reads() for message in body.messages]
    text = await asyncio.to_thread(chat_prompt, base, messages, body.chat_template_kwargs)
    # The template writes what begins a text itself.
    return await _answered(request, body, base, [_tokens(base, text, False)], ChatForm())


def _tokens(base: BaseModel, text: str, with_beginning: bool) -> list[int]:
    return base.tokenizer.encode(text, add_special_tokens=with_beginning).ids


@dataclass(frozen=True)
class _Work:
    """One prompt of a request while it is generated; its choices are numbered from `first` on."""

    generating: RunningGeneration
    prompt: list[int]
    first: int

    def texts(self, body: GenerationBody, base: BaseModel) -> list[GrowingText]:
        return [GrowingText(base.tokenizer, body.stops, base.end_tokens, self.prompt) for _ in range(body.n)]


async def _answered(
    request: Request, body: GenerationBody, base: BaseModel, prompts: Sequence[list[int]], form: Form
) -> Response:
    top = body.num_top_logprobs
    envelope = Envelope(form, body.model, None if top is None else Logprobs(base.tokenizer, top))
    works: list[_Work] = []
    try:
        for number, prompt in enumerate(prompts):
            sample = body.sample(prompt)
            begun = await RunningGeneration.begin(state_of(request).samplers, sample, follow=body.stream)
            works.append(_Work(begun, prompt, number * body.n))
        if body.stream:
            events = _stream(works, body, base, envelope)
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
            )
        pieces, sampled = list[Piece](), 0
        for work in works:
            result = await _waited_for(request, work.generating)
            for number, (text, sequence) in enumerate(
                zip(work.texts(body, base), result.sequences, strict=True)
            ):
                _add(text, sequence)
                text.end()
                reason = "stop" if sequence.stopped else "length"
                pieces.append(Piece(work.first + number, text.text, text.tokens(), reason))
                sampled += len(sequence.tokens)
        usage = Usage(sum(len(work.prompt) for work in works), sampled)
        return JSONResponse(envelope.whole(pieces, usage))
    except BaseException:
        for work in works:
            work.generating.cancel()
        raise


async def _waited_for(request: Request, generating: RunningGeneration) -> GenerationResult:
    """The result; raises ClientDisconnect where nobody waits for it any more."""
    waiting = asyncio.ensure_future(generating.result())
    try:
        return await waited_for(request, waiting)
    except (ClientDisconnect, RequestError):
        raise
    except Exception as error:
        logger.error("a request to %s failed", request.url.path, exc_info=error)
        raise HTTPException(500, WENT_WRONG) from error
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await waiting


def _add(text: GrowingText, sequence: SampledSequence) -> str:
    """Tokens of a sequence; returns the text that they let out."""
    out = ""
    for place, (token, logprob) in enumerate(zip(sequence.tokens, sequence.logprobs, strict=True)):
        top: Sequence[tuple[int, float]] = ()
        if sequence.top is not None:
            ids, values = sequence.top.token_ids[place].tolist(), sequence.top.logprobs[place].tolist()
            top = list(zip(ids, values, strict=True))
        out += text.add(token, logprob, top)
    return out


async def _stream(
    works: Sequence[_Work], body: GenerationBody, base: BaseModel, envelope: Envelope
) -> AsyncIterator[str]:
    """The chunks as server-sent events, and `[DONE]` at the end."""
    sampled = 0
    try:
        for work in works:
            texts = work.texts(body, base)
            for number in range(body.n):
                begins = envelope.begins(work.first + number)
                if begins is not None:
                    yield _event(begins)
            while True:
                event = await work.generating.next()
                if not isinstance(event, NewTokens):
                    break
                text, sequence = texts[event.number], event.sequence
                sampled += len(sequence.tokens)
                out = _add(text, sequence)
                tokens = text.tokens()
                if out or tokens:
                    yield _event(envelope.chunk(Piece(work.first + event.number, out, tokens, None)))
            for number, (text, sequence) in enumerate(zip(texts, event.sequences, strict=True)):
                rest, reason = text.end(), "stop" if sequence.stopped else "length"
                yield _event(envelope.chunk(Piece(work.first + number, rest, text.tokens(), reason)))
        if body.stream_options is not None and body.stream_options.include_usage:
            yield _event(envelope.last(Usage(sum(len(work.prompt) for work in works), sampled)))
    except RequestError as error:
        yield _event(error_body(400, str(error)))
    except Exception as error:
        logger.error("a stream failed", exc_info=error)
        yield _event(error_body(500, WENT_WRONG))
    finally:
        for work in works:
            work.generating.cancel()
    yield "data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
