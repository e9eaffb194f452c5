"""`tinker_local` with a fault: an application around it changes what it is asked, as other servers err."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinker_local.wire import tinker_public_pb2 as proto

Wrap = Callable[[ASGIApp], ASGIApp]
Edit = Callable[[dict[str, Any]], None]
Datums = Callable[[proto.ForwardBackwardRequest], None]
ROOT = "/api/v1/"


def edited(route: str, edit: Edit) -> Wrap:
    """The JSON body of this route's requests is edited in place before the server reads it."""

    def change(body: bytes) -> bytes:
        content = json.loads(body)
        edit(content)
        return json.dumps(content).encode()

    return _changed({route: change})


def regraded(edit: Datums) -> Wrap:
    """The message of forward_backward is edited in place before the server reads it."""

    def change(body: bytes) -> bytes:
        message = proto.ForwardBackwardRequest.FromString(body)
        edit(message)
        return message.SerializeToString()

    return _changed({"forward_backward": change})


def renumbered() -> Wrap:
    """Every request counts as a new one, so that what comes twice is done twice."""
    counts: Counter[str] = Counter()

    def of_json(body: bytes) -> bytes:
        content = json.loads(body)
        counts[content["model_id"]] += 1
        return json.dumps({**content, "seq_id": counts[content["model_id"]]}).encode()

    def of_proto(body: bytes) -> bytes:
        message = proto.ForwardBackwardRequest.FromString(body)
        counts[message.model_id] += 1
        message.seq_id = counts[message.model_id]
        return message.SerializeToString()

    return _changed({"forward_backward": of_proto, "optim_step": of_json})


def answered(route: str, edit: Edit) -> Wrap:
    """The JSON answer of this route is edited in place before the client reads it."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] != ROOT + route:
                await app(scope, receive, send)
                return
            begun: list[Message] = []

            async def rewritten(message: Message) -> None:
                if message["type"] == "http.response.start":
                    begun.append(message)
                    return
                content = json.loads(message["body"])
                edit(content)
                body = json.dumps(content).encode()
                kept = [pair for pair in begun[0]["headers"] if pair[0] != b"content-length"]
                await send({**begun[0], "headers": [*kept, (b"content-length", b"%d" % len(body))]})
                await send({**message, "body": body})

            await app(scope, receive, rewritten)

        return wrapped

    return wrap


def _changed(changes: dict[str, Callable[[bytes], bytes]]) -> Wrap:
    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            change = changes.get(scope.get("path", "").removeprefix(ROOT))
            if scope["type"] != "http" or change is None:
                await app(scope, receive, send)
                return
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            body = change(body)
            kept = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
            headers = [*kept, (b"content-length", b"%d" % len(body))]
            waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def given() -> Message:
                return waiting.pop() if waiting else await receive()

            await app({**scope, "headers": headers}, given, send)

        return wrapped

    return wrap
